//! Converters: what is made of samples.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Counter, HashFunction, Map, MapValue, Provisos, TableId, TimeUnit, VariableId};

/// What is made of a sample. One that cannot be made of what came ends in no sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Converter {
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
    /// `length`.
    Length,
    /// `hex`: bytes to digits, in capitals.
    Hex,
    /// `cut_crlf`: nothing from the first line feed or carriage return on.
    CutLine,
    /// `ltrim(characters)`: without any of these in front.
    TrimStart(Vec<u8>),
    /// `rtrim(characters)`: without any of these at the end.
    TrimEnd(Vec<u8>),
    /// `htonl`: a number as four bytes, the highest first.
    NetworkOrder,
    /// `base64`, `ub64enc`.
    Base64(Base64),
    /// `b64dec`, `ub64dec`.
    FromBase64(Base64),
    /// `hex2i`.
    FromHex,
    /// `be2dec(separator,size[,truncate])`: numbers, the highest byte first.
    ChunksToNumbers {
        /// What stands between them.
        separator: Vec<u8>,
        /// Bytes of each, from 1 to 8.
        size: u8,
        /// One that is not whole does not count.
        whole: bool,
    },
    /// `be2hex([separator],[size],[truncate])`.
    ChunksToHex {
        /// What stands between chunks.
        separator: Vec<u8>,
        /// Bytes of each; `None`: all are one.
        size: Option<u32>,
        /// One that is not whole does not count.
        whole: bool,
    },
    /// `json`: escaped as text of JSON is.
    Json(JsonInput),
    /// `url_dec`.
    FromUrl {
        /// A `+` is a space from the beginning, not from a `?` on.
        in_form: bool,
    },
    /// `url_enc`.
    Url,
    /// `host_only`: `host:port` without the port.
    HostOnly,
    /// `port_only`: the port of it, or 0.
    PortOnly,
    /// `concat([begin],[variable],[end])`.
    Concatenate {
        /// Comes first.
        begin: Vec<u8>,
        /// Then this, if it has a value.
        variable: Option<VariableId>,
        /// Then this.
        end: Vec<u8>,
    },
    /// `add_item(delimiter,[variable],[end])`: the same, with a delimiter where it is one of several.
    AddItem {
        /// Stands behind what is there already.
        delimiter: Vec<u8>,
        /// What is added, if it has a value.
        variable: Option<VariableId>,
        /// And this.
        end: Vec<u8>,
    },
    /// `strcmp(variable)`: below 0, 0, above 0.
    Compare(VariableId),
    /// `secure_memcmp(variable)`: in a time that does not tell.
    IsSame(VariableId),
    /// `xxh32`, `xxh64`, `xxh3`, with a seed.
    XxHash(XxHash, u64),
    /// `sha1`, `sha2`, `digest(name)`.
    Digest(Digest),
    /// `hmac(name,key)`.
    Hmac(Digest, HmacKey),
    /// `utime(format[,offset])`, `ltime(..)`.
    Time {
        /// As for C's `strftime`.
        format: Vec<u8>,
        /// What it is called.
        zone: Zone,
        /// So many seconds later.
        offset: i64,
    },
    /// `http_date([offset][,unit])`.
    HttpDate {
        /// So much later.
        offset: i64,
        /// Of the number and the offset.
        unit: TimeUnit,
    },
    /// `fix_is_valid`: a message of FIX.
    FixIsValid,
    /// `fix_tag_value(tag)`.
    FixValue(u32),
    /// `mqtt_is_valid`: a first packet of MQTT.
    MqttIsValid,
    /// `mqtt_field_value(packet,field)`.
    MqttValue(MqttPacket, MqttField),
    /// `nbsrv`: of the backend of this name.
    UsableServers,
    /// `srv_queue`: of the server of this name, `backend/server`.
    ServerQueue,
    /// `bytes(offset[,length])`.
    Bytes {
        /// From here.
        offset: u32,
        /// So many; `None`: the rest.
        length: Option<u32>,
    },
    /// `field(index,delimiters[,count])`: empty fields count.
    Field {
        /// From 1; negative from the end.
        index: i32,
        /// Any of these bytes ends a field.
        delimiters: Vec<u8>,
        /// So many fields; 0: the rest.
        count: u32,
    },
    /// `word(index,delimiters[,count])`: empty fields do not.
    Word {
        /// From 1; negative from the end.
        index: i32,
        /// Any of these bytes ends a word.
        delimiters: Vec<u8>,
        /// So many words; 0: the rest.
        count: u32,
    },
    /// `ipmask(mask4[,mask6])`.
    Mask {
        /// The mask of IPv4 addresses, of which the last 32 bits count.
        v4: u32,
        /// The mask of IPv6 addresses; without one, none passes.
        v6: Option<u128>,
    },
    /// `bool`: whether it is not 0.
    Bool,
    /// `not`: whether it is 0.
    Not,
    /// `odd`.
    Odd,
    /// `even`.
    Even,
    /// `neg`.
    Negate,
    /// `cpl`: each bit turned.
    Complement,
    /// `add`, `sub`, `mul`, `div`, `mod`, `and`, `or`, `xor`.
    Arithmetic(Operation, Operand),
    /// `sdbm`, `djb2`, `wt6`, `crc32`, with `avalanche`.
    Hash {
        /// The function.
        function: HashFunction,
        /// Mixed once more.
        avalanche: bool,
    },
    /// `map(file[,default])` and its kin.
    Map {
        /// The map.
        map: Arc<Map>,
        /// What is given for what it does not know.
        default: Option<MapValue>,
    },
    /// `in_table(table)`: whether the key is there.
    InTable(TableId),
    /// `table_conn_rate(table)` and kin: what a table counts for this key.
    TableCounter {
        /// What.
        counter: Counter,
        /// Where.
        table: TableId,
        /// For a key that is not there; `None`: no sample.
        unknown: Option<i64>,
    },
    /// `set-var(name)`: the value goes on, and is kept; where it cannot be, there is no sample.
    SetVariable(VariableId, Provisos),
    /// `unset-var(name)`.
    UnsetVariable(VariableId),
    /// `iif(true,false)`.
    Choose {
        /// For true.
        yes: Vec<u8>,
        /// For false.
        no: Vec<u8>,
    },
}

/// A kind of packet of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttPacket {
    /// `connect`.
    Connect,
    /// `connack`.
    ConnAck,
    /// One that is never a side's first, and so never seen.
    Other,
}

/// What a packet of MQTT holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttField {
    /// `flags`.
    Flags,
    /// `reason_code`.
    ReasonCode,
    /// `protocol_name`.
    ProtocolName,
    /// `protocol_version`.
    ProtocolVersion,
    /// `client_identifier`.
    ClientIdentifier,
    /// `will_topic`.
    WillTopic,
    /// `will_payload`.
    WillPayload,
    /// `username`.
    Username,
    /// `password`.
    Password,
    /// `keepalive`.
    KeepAlive,
    /// A property of version 5, by its number.
    Property(u8),
}

/// An alphabet of RFC 4648.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64 {
    /// Section 4, filled with `=`.
    Standard,
    /// Section 5, not filled.
    Url,
}

/// How `json` takes bytes for characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonInput {
    /// `ascii`: each is one.
    Ascii,
    /// `utf8` and its kin.
    Utf8 {
        /// What is no character is left out (`s`); else there is no result.
        skips: bool,
        /// Longer spellings than needed are taken (`p`).
        is_permissive: bool,
    },
}

/// A function of the xxHash family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XxHash {
    /// `xxh32`.
    Bits32,
    /// `xxh64`.
    Bits64,
    /// `xxh3`, of 64 bits.
    Xxh3,
}

/// A cryptographic hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// `sha1`.
    Sha1,
    /// `sha2(224)`.
    Sha224,
    /// `sha2`, `sha2(256)`.
    Sha256,
    /// `sha2(384)`.
    Sha384,
    /// `sha2(512)`.
    Sha512,
}

/// The key of an `hmac`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HmacKey {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Those that a variable spells in base64.
    Variable(VariableId),
}

/// What a number is calculated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Number(i64),
    /// A variable; without a value there is no result.
    Variable(VariableId),
}

/// Arithmetic on 64 bits with a sign; results saturate as HAProxy's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `add`.
    Add,
    /// `sub`.
    Subtract,
    /// `mul`.
    Multiply,
    /// `div`; by 0 gives the largest number.
    Divide,
    /// `mod`; by 0 gives 0.
    Modulo,
    /// `and`.
    And,
    /// `or`.
    Or,
    /// `xor`.
    Xor,
}

/// The machine's zone is UTC: of that, there are two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// `utime`: GMT.
    Greenwich,
    /// `ltime`: UTC.
    Local,
}
