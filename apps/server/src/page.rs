//! The page at `/` for browsers, and the same for people with curl at `/status`.
//!
//! Its text is made once. What changes are numbers, in places of fixed width: a page is as long as it
//! was when its head said so, an answer under way can go on from where it stopped, and nothing is
//! allocated.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use penstock_stack::{Duration, Instant};

use crate::board::{Board, COLUMNS, PER_SECOND};

/// How it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Html,
    Plain,
}

/// The pages of one core.
pub(crate) struct Page {
    board: Arc<Board>,
    begun: Instant,
    drawn: Option<Instant>,
    html: Sheet,
    plain: Sheet,
}

/// A text with places for numbers: seconds since the start, then for each core and for all cores
/// together the columns; in HTML each of them behind its share of a bar, and the longest bar.
struct Sheet {
    text: Vec<u8>,
    places: Vec<usize>,
}

impl Page {
    pub(crate) fn new(board: Arc<Board>, begun: Instant) -> Page {
        let (html, plain) = (html(&board), plain(&board));
        Page { board, begun, drawn: None, html, plain }
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// The bytes as they were drawn last.
    pub(crate) fn text(&self, form: Form) -> &[u8] {
        match form {
            Form::Html => &self.html.text,
            Form::Plain => &self.plain.text,
        }
    }

    /// Puts in what the cores told last, unless that was just done: who asks often is not to cost
    /// more.
    pub(crate) fn draw(&mut self, now: Instant) {
        if self.drawn.is_some_and(|drawn| now < drawn + DRAWN_FOR) {
            return;
        }
        self.drawn = Some(now);
        let seconds = (now - self.begun).0 / 1_000_000;
        let mut total = [0u64; COLUMNS.len()];
        let mut most = 1;
        for core in 0..self.board.cores() {
            let line = self.board.line(core);
            most = most.max(line[PER_SECOND]);
            for (sum, value) in total.iter_mut().zip(line) {
                *sum = sum.saturating_add(value);
            }
        }
        let (mut html, mut plain) = (self.html.pen(), self.plain.pen());
        html.write(seconds);
        plain.write(seconds);
        for core in 0..self.board.cores() {
            let line = self.board.line(core);
            html.write(most);
            html.write(line[PER_SECOND]);
            for value in line {
                html.write(value);
                plain.write(value);
            }
        }
        for value in total {
            html.write(value);
            plain.write(value);
        }
    }
}

impl Sheet {
    fn new() -> Sheet {
        Sheet { text: Vec::new(), places: Vec::new() }
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn place(&mut self) {
        self.places.push(self.text.len());
        self.text.extend_from_slice(&[b' '; PLACE_BYTES]);
    }

    fn pen(&mut self) -> Pen<'_> {
        Pen { text: &mut self.text, places: self.places.iter() }
    }
}

/// Writes numbers into the places of a sheet, one after the other.
struct Pen<'a> {
    text: &'a mut [u8],
    places: core::slice::Iter<'a, usize>,
}

impl Pen<'_> {
    /// What is too long for its place loses its first digits.
    fn write(&mut self, number: u64) {
        let Some(&place) = self.places.next() else { return };
        let mut rest = number;
        for (at, byte) in self.text[place..place + PLACE_BYTES].iter_mut().rev().enumerate() {
            *byte = if at > 0 && rest == 0 { b' ' } else { b'0' + (rest % 10) as u8 };
            rest /= 10;
        }
    }
}

fn html(board: &Board) -> Sheet {
    let mut sheet = Sheet::new();
    sheet.push(HTML_BEGIN);
    sheet.push("<dl>");
    for (name, value) in &board.facts {
        sheet.push(&format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value)));
    }
    sheet.push("<dt>serving for</dt><dd>");
    sheet.place();
    sheet.push(" s</dd></dl>\n<table><tr><th>core</th><th></th>");
    COLUMNS.iter().for_each(|column| sheet.push(&format!("<th>{column}</th>")));
    sheet.push("</tr>\n");
    for core in 0..board.cores() {
        sheet.push(&format!("<tr><td>{core}</td><td><meter max=\""));
        sheet.place();
        sheet.push("\" value=\"");
        sheet.place();
        sheet.push("\"></meter></td>");
        cells(&mut sheet, "<td>", "</td>");
        sheet.push("</tr>\n");
    }
    sheet.push("<tr><th>all</th><th></th>");
    cells(&mut sheet, "<th>", "</th>");
    sheet.push("</tr></table>\n");
    sheet.push(HTML_END);
    sheet
}

fn plain(board: &Board) -> Sheet {
    let mut sheet = Sheet::new();
    let widest = board.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let widest = widest.max("serving for".len());
    for (name, value) in &board.facts {
        sheet.push(&format!("{name:widest$}  {value}\n"));
    }
    sheet.push(&format!("{:widest$}", "serving for"));
    sheet.place();
    sheet.push(" s\n\ncore");
    COLUMNS.iter().for_each(|column| sheet.push(&format!(" {column:>PLACE_BYTES$}")));
    sheet.push("\n");
    for core in 0..board.cores() {
        sheet.push(&format!("{core:>4}"));
        cells(&mut sheet, " ", "");
        sheet.push("\n");
    }
    sheet.push(" all");
    cells(&mut sheet, " ", "");
    sheet.push("\n");
    sheet
}

fn cells(sheet: &mut Sheet, begin: &str, end: &str) {
    for _ in COLUMNS {
        sheet.push(begin);
        sheet.place();
        sheet.push(end);
    }
}

/// What a processor or a card says of itself is nobody's markup.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

const PLACE_BYTES: usize = 12;
const DRAWN_FOR: Duration = Duration::from_millis(100);

const HTML_BEGIN: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Penstock</title>
<meta name=\"viewport\" content=\"width=device-width\">
<noscript><meta http-equiv=\"refresh\" content=\"1\"></noscript>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#123;background:#f7f9fb}
h1{font-weight:600;margin:0}p{margin:.2em 0 1.5em;color:#456}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2em 1.5em}dt{color:#678}dd{margin:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin-top:1.5em}
td,th{text-align:right;padding:.25em .6em;border-bottom:1px solid #dde4ea;font-weight:400}
th{color:#678;font-size:.85em}meter{width:8em;height:1em}
@media(prefers-color-scheme:dark){body{background:#10161c;color:#dde}td,th{border-color:#283440}p,dt,th{color:#9ab}}
</style></head><body>
<h1>Penstock</h1>
<p>A network driver, a TCP/IP stack on each core, and this server.</p>
";

const HTML_END: &str = "<p>The same for curl: <a href=\"/status\">/status</a>.
Every other path is answered 200, but for those that the demo server's page names.</p>
<script>
setInterval(async()=>{try{const r=await fetch('/',{headers:{Accept:'text/html'}});
const d=new DOMParser().parseFromString(await r.text(),'text/html');
for(const t of ['dl','table'])document.querySelector(t).replaceWith(d.querySelector(t))}catch(e){}},1000)
</script></body></html>
";

#[cfg(test)]
mod tests {
    //! A page keeps its length whatever the numbers, says all of them, and no fact breaks out.

    use super::*;
    use crate::Statistics;
    use alloc::vec;
    use std::string::ToString;

    const BEGUN: Instant = Instant(1_000_000);

    fn page(cores: u16) -> Page {
        let facts = vec![("processor".to_string(), "A <b>\u{7}fast</b> & good one".to_string())];
        Page::new(Arc::new(Board::new(cores, facts)), BEGUN)
    }

    fn words(page: &Page) -> String {
        let text = core::str::from_utf8(page.text(Form::Plain)).expect("text");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_are_put_where_they_belong() {
        let mut page = page(2);
        let lengths = [Form::Html, Form::Plain].map(|form| page.text(form).len());
        let statistics =
            Statistics { accepted: 7, active: 3, drops: u64::MAX, ..Default::default() };
        page.board().publish(1, &statistics, 5);
        page.board().publish(0, &Statistics { accepted: 10, ..Default::default() }, 0);
        page.draw(BEGUN + Duration::from_secs(90));
        assert!(words(&page).contains("serving for 90 s"));
        assert!(
            words(&page).contains("0 0 0 10 0 0 0 0 0 0 1 3 5 7 0 0 0 073709551615 0 0 all 3 5 17")
        );
        let html = core::str::from_utf8(page.text(Form::Html)).expect("text");
        assert!(html.contains("<meter max=\"           5\" value=\"           5\">"));
        assert_eq!(lengths, [Form::Html, Form::Plain].map(|form| page.text(form).len()));
    }

    #[test]
    fn it_is_not_drawn_more_often_than_it_pays() {
        let mut page = page(1);
        page.draw(BEGUN);
        page.board().publish(0, &Statistics { accepted: 10, ..Default::default() }, 0);
        page.draw(BEGUN + Duration::from_millis(99));
        assert!(!words(&page).contains("10"));
        page.draw(BEGUN + Duration::from_millis(100));
        assert!(words(&page).contains("0 0 0 10"));
    }

    #[test]
    fn a_fact_is_text() {
        let page = page(1);
        let html = core::str::from_utf8(page.text(Form::Html)).expect("text");
        assert!(html.contains("A &lt;b&gt; fast&lt;/b&gt; &amp; good one"));
    }
}
