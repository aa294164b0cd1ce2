//! Motion JPEG over HTTP: the parts of a `multipart/x-mixed-replace` body (RFC 2046, section 5.1),
//! as cameras write them.
//!
//! Cameras declare boundaries with dashes and without, quote them or not, give lengths or not, and
//! leave out line ends. A part ends where its Content-Length says; else, where it is a JPEG, at its
//! end of image, so that it need not wait for the next; else before the next delimiter. The same
//! bytes give the same parts in any pieces, and no more than one part is held.

use super::jpeg::{Walk, Walked};

/// The largest head of a part, and the most that may stand before the first delimiter.
const HEAD_MAX: usize = 8 * 1024;
const PREAMBLE_MAX: usize = 64 * 1024;
/// RFC 2046 allows 70 characters.
const BOUNDARY_MAX: usize = 256;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// In lower case, without parameters; empty where the camera tells none.
    pub content_type: String,
    pub body: Vec<u8>,
}

/// Why the parts cannot be told from each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    #[error("`{0}` names no boundary")]
    NoBoundary(String),
    #[error("no boundary `{boundary}` in the first {PREAMBLE_MAX} bytes")]
    NoDelimiter { boundary: String },
    #[error("a part's head is longer than {HEAD_MAX} bytes")]
    HeadTooLarge,
    #[error("a part is larger than {limit} bytes")]
    PartTooLarge { limit: usize },
}

/// The stream so far.
#[derive(Debug, Clone)]
pub struct Multipart {
    /// Without the dashes before it.
    boundary: Vec<u8>,
    limit: usize,
    held: Vec<u8>,
    /// Offset in `held` up to which there is no delimiter.
    searched: usize,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Before a delimiter; what stands here belongs to no part.
    Between {
        skipped: usize,
    },
    Head,
    Body {
        content_type: String,
        length: Option<usize>,
        walk: Option<Walk>,
    },
    Ended,
}

/// A delimiter found.
struct Delimiter {
    /// Where it begins, its line end before it included.
    begin: usize,
    end: usize,
    last: bool,
}

impl Multipart {
    /// For a response's Content-Type; parts may have up to `limit` bytes.
    pub fn new(content_type: &str, limit: usize) -> Result<Self, MultipartError> {
        let no_boundary = || MultipartError::NoBoundary(content_type.to_owned());
        let parameter = content_type
            .split(';')
            .skip(1)
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim().trim_matches('"').trim())
            .ok_or_else(no_boundary)?;
        let boundary = parameter.trim_start_matches('-').as_bytes().to_vec();
        if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
            return Err(no_boundary());
        }
        Ok(Self {
            boundary,
            limit,
            held: Vec::new(),
            searched: 0,
            state: State::Between { skipped: 0 },
        })
    }

    /// Whether the last delimiter has come; nothing comes after it.
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes the next bytes and hands over the parts that they end.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Part)) -> Result<(), MultipartError> {
        // Pieces as a socket gives them, so that a large one does not have to be held whole.
        for piece in bytes.chunks(16 * 1024) {
            self.held.extend_from_slice(piece);
            while self.step(each)? {}
        }
        Ok(())
    }

    /// One step; whether there may be another.
    fn step(&mut self, each: &mut dyn FnMut(Part)) -> Result<bool, MultipartError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Between { skipped } => self.between(skipped),
            State::Head => self.head(),
            State::Body {
                content_type,
                length,
                walk,
            } => self.body(content_type, length, walk, each),
            State::Ended => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    fn between(&mut self, skipped: usize) -> Result<bool, MultipartError> {
        if let Some(found) = self.delimiter(skipped == 0) {
            self.drop_held(found.end);
            self.state = if found.last {
                State::Ended
            } else {
                State::Head
            };
            return Ok(true);
        }
        let skip = self.searched;
        self.drop_held(skip);
        let skipped = skipped + skip;
        if skipped > PREAMBLE_MAX {
            let boundary = String::from_utf8_lossy(&self.boundary).into_owned();
            return Err(MultipartError::NoDelimiter { boundary });
        }
        self.state = State::Between { skipped };
        Ok(false)
    }

    fn head(&mut self) -> Result<bool, MultipartError> {
        let Some((head, end)) = split_head(&self.held) else {
            if self.held.len() > HEAD_MAX {
                return Err(MultipartError::HeadTooLarge);
            }
            self.state = State::Head;
            return Ok(false);
        };
        if end > HEAD_MAX {
            return Err(MultipartError::HeadTooLarge);
        }
        let field = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| field.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let length = field("Content-Length").and_then(|text| text.parse().ok());
        if length.is_some_and(|length: usize| length > self.limit) {
            return Err(MultipartError::PartTooLarge { limit: self.limit });
        }
        let content_type = field("Content-Type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        self.state = State::Body {
            content_type: content_type.to_ascii_lowercase(),
            // Cameras that write 0 do not know.
            length: length.filter(|length| *length > 0),
            walk: Some(Walk::default()),
        };
        self.drop_held(end);
        Ok(true)
    }

    fn body(
        &mut self,
        content_type: String,
        length: Option<usize>,
        mut walk: Option<Walk>,
        each: &mut dyn FnMut(Part),
    ) -> Result<bool, MultipartError> {
        let end = match (length, &mut walk) {
            (Some(length), _) => (self.held.len() >= length).then_some(length),
            (None, Some(jpeg)) => match jpeg.advance(&self.held) {
                Walked::End(end) => Some(end),
                Walked::More => None,
                Walked::Broken(_) => {
                    walk = None;
                    self.delimiter(false).map(|found| found.begin)
                }
            },
            (None, None) => self.delimiter(false).map(|found| found.begin),
        };
        if end.unwrap_or(self.held.len()) > self.limit {
            return Err(MultipartError::PartTooLarge { limit: self.limit });
        }
        let Some(end) = end else {
            self.state = State::Body {
                content_type,
                length,
                walk,
            };
            return Ok(false);
        };
        let body = self.held.get(..end).unwrap_or_default().to_vec();
        self.drop_held(end);
        self.state = State::Between { skipped: 0 };
        each(Part { content_type, body });
        Ok(true)
    }

    fn drop_held(&mut self, count: usize) {
        self.held.drain(..count.min(self.held.len()));
        self.searched = 0;
    }

    /// The next delimiter that is whole. At a line's beginning it may lack its dashes; `at_line`
    /// says whether `held` begins a line.
    fn delimiter(&mut self, at_line: bool) -> Option<Delimiter> {
        let first = *self.boundary.first()?;
        loop {
            let rest = self.held.get(self.searched..)?;
            let Some(skip) = rest.iter().position(|byte| *byte == first) else {
                // Dashes and a line end before the boundary stay: it may come yet.
                self.searched = keep_tail(&self.held, self.held.len());
                return None;
            };
            let at = self.searched + skip;
            match self.delimiter_at(at, at_line) {
                Found::Yes(found) => return Some(found),
                Found::No => self.searched = at + 1,
                Found::Perhaps => {
                    self.searched = keep_tail(&self.held, at);
                    return None;
                }
            }
        }
    }

    fn delimiter_at(&self, at: usize, at_line: bool) -> Found {
        let (before, rest) = self.held.split_at(at.min(self.held.len()));
        let known = rest.len().min(self.boundary.len());
        if rest.get(..known) != self.boundary.get(..known) {
            return Found::No;
        }
        let dashes = before.iter().rev().take_while(|b| **b == b'-').count();
        let begin = before.len() - dashes;
        let begins_line = match before.get(..begin) {
            Some([]) => at_line,
            Some([.., last]) => *last == b'\n',
            None => false,
        };
        if dashes < 2 && !begins_line {
            return Found::No;
        }
        let Some(after) = rest.get(self.boundary.len()..) else {
            return Found::Perhaps;
        };
        let Some((used, last)) = line_end(after) else {
            // No line end within reach: the boundary's text in a picture.
            return if after.len() > BOUNDARY_MAX {
                Found::No
            } else if after
                .iter()
                .all(|b| matches!(b, b'-' | b' ' | b'\t' | b'\r'))
            {
                Found::Perhaps
            } else {
                Found::No
            };
        };
        Found::Yes(Delimiter {
            begin: begin - line_end_before(before.get(..begin).unwrap_or_default()),
            end: at + self.boundary.len() + used,
            last,
        })
    }
}

enum Found {
    Yes(Delimiter),
    No,
    /// More bytes will tell.
    Perhaps,
}

/// From where on bytes may belong to a delimiter whose boundary begins at `at` or later.
fn keep_tail(held: &[u8], at: usize) -> usize {
    let before = held.get(..at).unwrap_or_default();
    let dashes = before.iter().rev().take_while(|b| **b == b'-').count();
    let begin = before.len() - dashes;
    begin - line_end_before(before.get(..begin).unwrap_or_default())
}

fn line_end_before(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'\r', b'\n'] => 2,
        [.., b'\n' | b'\r'] => 1,
        _ => 0,
    }
}

/// What follows a boundary: two dashes where it is the last, white space, a line end. How many
/// bytes that is, and whether it is the last.
fn line_end(after: &[u8]) -> Option<(usize, bool)> {
    if after.starts_with(b"--") {
        return Some((2, true));
    }
    let spaces = after.iter().take_while(|b| matches!(b, b' ' | b'\t'));
    let spaces = spaces.count();
    match after.get(spaces..)? {
        [b'\r', b'\n', ..] => Some((spaces + 2, false)),
        [b'\n', ..] => Some((spaces + 1, false)),
        _ => None,
    }
}

/// The head's text and where the body begins, once its empty line is there.
fn split_head(held: &[u8]) -> Option<(String, usize)> {
    let mut line_begin = 0;
    for (at, byte) in held.iter().enumerate().take(HEAD_MAX + 1) {
        if *byte != b'\n' {
            continue;
        }
        let line = held.get(line_begin..at)?;
        if matches!(line, [] | [b'\r']) {
            let head = held.get(..line_begin)?;
            return Some((String::from_utf8_lossy(head).into_owned(), at + 1));
        }
        line_begin = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 4096;

    fn parts(
        content_type: &str,
        stream: &[u8],
        cuts: &[usize],
    ) -> Result<Vec<Part>, MultipartError> {
        let mut parser = Multipart::new(content_type, LIMIT)?;
        let mut parts = Vec::new();
        let mut begin = 0;
        for cut in cuts.iter().copied().chain([stream.len()]) {
            parser.push(&stream[begin..cut], &mut |part| parts.push(part))?;
            assert!(parser.held.len() <= LIMIT + HEAD_MAX + 16 * 1024);
            begin = cut;
        }
        Ok(parts)
    }

    fn bodies(content_type: &str, stream: &[u8]) -> Vec<Vec<u8>> {
        let parts = parts(content_type, stream, &[]).unwrap();
        parts.into_iter().map(|part| part.body).collect()
    }

    /// The smallest thing that walks like a JPEG.
    fn jpeg(entropy: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xDA, 0, 2];
        bytes.extend(entropy.iter().map(|byte| byte & 0x7F));
        bytes.extend([0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn boundaries_are_found_however_a_camera_writes_them() {
        for (declared, written) in [
            ("x", "--x"),
            ("\"x y\"", "--x y"),
            ("--x", "--x"),
            ("--x", "----x"),
            ("x", "x"),
            ("x--", "--x--"),
            (" x ", "--x"),
        ] {
            for line in ["\r\n", "\n"] {
                for before in ["", line] {
                    let stream = format!(
                        "{written}{line}A: b{line}{line}one{before}{written}{line}{line}two{line}{written}{line}"
                    );
                    // Without its dashes a delimiter must begin a line.
                    if before.is_empty() && !written.starts_with('-') {
                        continue;
                    }
                    let content_type = format!("multipart/x-mixed-replace;boundary={declared}");
                    let found = bodies(&content_type, stream.as_bytes());
                    assert_eq!(found, [b"one", b"two"], "{declared} {written} {line:?}");
                }
            }
        }
    }

    #[test]
    fn a_length_counts_before_all_else_and_a_jpeg_ends_by_itself() {
        let stream = b"--b\r\ncontent-length: 7\r\nContent-Type: Image/JPEG; q=1\r\n\r\na\r\n--b\r\r\n--b\r\n\r\n";
        let found = parts("m;BOUNDARY=b", stream, &[]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].content_type.as_str(), &*found[0].body),
            ("image/jpeg", &b"a\r\n--b\r"[..])
        );
        // No delimiter has come after it, and yet it is there.
        let mut stream = b"--b\n\n".to_vec();
        stream.extend(jpeg(b"12\r\n--b\r\n34"));
        assert_eq!(bodies("m;boundary=b", &stream), [jpeg(b"12\r\n--b\r\n34")]);
        // One that is cut off ends at the delimiter.
        let mut cut = b"--b\n\n".to_vec();
        cut.extend([0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2]);
        cut.extend(b"\r\n--b\r\n\r\n");
        cut.extend(jpeg(b"x"));
        assert_eq!(bodies("m;boundary=b", &cut).len(), 2);
    }

    #[test]
    fn the_last_delimiter_ends_it() {
        let mut parser = Multipart::new("m; boundary=b", LIMIT).unwrap();
        let mut count = 0;
        parser
            .push(b"--b\n\nx\n--b--\n--b\n\ny\n--b\n", &mut |_| count += 1)
            .unwrap();
        assert!(parser.ended());
        assert_eq!(count, 1);
    }

    #[test]
    fn what_is_too_large_is_told() {
        let refused = |stream: &[u8]| parts("m;boundary=b", stream, &[]).unwrap_err();
        let limit = LIMIT;
        assert_eq!(
            refused(b"--b\nContent-Length: 99999\n\n"),
            MultipartError::PartTooLarge { limit }
        );
        let mut stream = b"--b\n\n".to_vec();
        stream.resize(LIMIT + 99, b'x');
        assert_eq!(refused(&stream), MultipartError::PartTooLarge { limit });
        assert!(matches!(
            refused(&vec![b'x'; 100_000]),
            MultipartError::NoDelimiter { .. }
        ));
        let mut stream = b"--b\nA: ".to_vec();
        stream.resize(HEAD_MAX + 99, b'x');
        assert_eq!(refused(&stream), MultipartError::HeadTooLarge);
        assert!(Multipart::new("multipart/x-mixed-replace", 1).is_err());
        assert!(Multipart::new("multipart/x-mixed-replace; boundary=--", 1).is_err());
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_parts(
            pictures in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0..3_u8, any::<bool>()), 1..6),
            cuts in prop::collection::vec(0_usize..4000, 0..40),
        ) {
            let mut stream = b"preamble\r\n".to_vec();
            let mut expected = Vec::new();
            for (bytes, kind, line) in &pictures {
                let body = if *kind == 2 { bytes.iter().map(|b| b & 0x7F).collect() } else { jpeg(bytes) };
                // A text that holds a delimiter is two.
                let body: Vec<u8> = body.into_iter().filter(|b| *kind != 2 || !b"b\r\n".contains(b)).collect();
                stream.extend(b"--b\r\n");
                if *kind == 0 {
                    stream.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
                }
                stream.extend(b"\r\n");
                stream.extend(&body);
                if *line || *kind == 2 {
                    stream.extend(b"\r\n");
                }
                expected.push(body);
            }
            stream.extend(b"--b--");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len()).collect();
            cuts.sort_unstable();
            let found = parts("m;boundary=b", &stream, &cuts).unwrap();
            let found: Vec<_> = found.into_iter().map(|part| part.body).collect();
            prop_assert_eq!(&found, &expected);
            let every: Vec<_> = (0..stream.len()).collect();
            let found = parts("m;boundary=b", &stream, &every).unwrap();
            let found: Vec<_> = found.into_iter().map(|part| part.body).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn nonsense_gives_the_same_in_any_pieces(
            words in prop::collection::vec(prop::sample::select(vec![
                "--b", "b", "-", "--", "\r\n", "\n", "\r", "Content-Length: 3", "x", "\u{ff}", " ", "--b\r\n\r\n",
            ]), 0..60),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let stream: Vec<u8> = words.concat().chars().map(|c| c as u8).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len().max(1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(
                parts("m;boundary=b", &stream, &cuts),
                parts("m;boundary=b", &stream, &[])
            );
        }
    }
}
