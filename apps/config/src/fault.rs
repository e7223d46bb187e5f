//! `fault=`: how much worse the network is to be than it is.
//!
//! ```text
//!   fault=loss=1%,reorder=2%,corrupt=0.1%,duplicate=1%,seed=7
//! ```

use penstock_fault::Faults;

pub(crate) fn parse(value: &str) -> Result<Faults, &'static str> {
    let mut faults = Faults::NONE;
    for part in value.split(',') {
        let (name, amount) = part.split_once('=').ok_or(EXPECTED)?;
        let share = match name {
            "loss" => &mut faults.loss_ppm,
            "reorder" => &mut faults.reorder_ppm,
            "corrupt" => &mut faults.corrupt_ppm,
            "duplicate" => &mut faults.duplicate_ppm,
            "seed" => {
                faults.seed = amount.parse().map_err(|_| EXPECTED)?;
                continue;
            }
            _ => return Err(EXPECTED),
        };
        *share = ppm(amount).ok_or(EXPECTED)?;
    }
    Ok(faults)
}

/// A percentage of at most four decimals, in millionths.
fn ppm(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.len() > 3 || decimals.len() > 4 {
        return None;
    }
    let scale = 10_u32.pow(4 - decimals.len() as u32);
    let ppm = whole.parse::<u32>().ok()? * 10_000 + decimals.parse::<u32>().ok()? * scale;
    (ppm <= 1_000_000).then_some(ppm)
}

const EXPECTED: &str = "shares of the frames and a seed, such as \
     loss=1%,reorder=2%,corrupt=0.1%,duplicate=1%,seed=7";

#[cfg(test)]
mod tests {
    //! Shares are read to the millionth, and nothing else is a share.

    use super::*;

    #[test]
    fn shares() {
        let faults = parse("loss=1%,reorder=2.5%,corrupt=0.1%,duplicate=100%,seed=7");
        let expected = Faults {
            loss_ppm: 10_000,
            reorder_ppm: 25_000,
            corrupt_ppm: 1_000,
            duplicate_ppm: 1_000_000,
            seed: 7,
        };
        assert_eq!(faults, Ok(expected));
        assert_eq!(ppm("0.0001%"), Some(1));
    }

    #[test]
    fn near_misses() {
        for text in [
            "",
            "loss",
            "loss=",
            "loss=1",
            "loss=101%",
            "loss=1.%",
            "loss=.1%",
            "loss=-1%",
            "loss=1%,",
            "lose=1%",
            "loss=0.00001%",
            "seed=x",
            "loss=1%;seed=7",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
