//! The colours of `GREP_COLORS`. When there are any is decided elsewhere.

/// Sequences of numbers for the parts of the output; an empty one colours nothing.
#[derive(Clone, Debug)]
pub(crate) struct Colors {
    /// What matches in selected lines.
    pub(crate) selected_match: Vec<u8>,
    /// What matches in context lines, with `-v`.
    pub(crate) context_match: Vec<u8>,
    pub(crate) selected_line: Vec<u8>,
    pub(crate) context_line: Vec<u8>,
    pub(crate) file: Vec<u8>,
    pub(crate) line_number: Vec<u8>,
    pub(crate) byte_offset: Vec<u8>,
    pub(crate) separator: Vec<u8>,
    /// With `-v`, selected and context lines change colours.
    pub(crate) reverse: bool,
    /// Do not erase to the end of the line.
    no_erase: bool,
}

impl Colors {
    /// GNU's colours with the changes of `GREP_COLOR` and `GREP_COLORS`.
    pub(crate) fn new(old: Option<&[u8]>, changes: &[u8]) -> Colors {
        let mut c = Colors {
            selected_match: b"01;31".to_vec(),
            context_match: b"01;31".to_vec(),
            selected_line: Vec::new(),
            context_line: Vec::new(),
            file: b"35".to_vec(),
            line_number: b"32".to_vec(),
            byte_offset: b"32".to_vec(),
            separator: b"36".to_vec(),
            reverse: false,
            no_erase: false,
        };
        if let Some(old) = old {
            (c.selected_match, c.context_match) = (old.to_vec(), old.to_vec());
        }
        for change in changes.split(|b| *b == b':') {
            let (name, value) = match change.iter().position(|b| *b == b'=') {
                Some(at) => (&change[..at], Some(change[at + 1..].to_vec())),
                None => (change, None),
            };
            // As GNU: what is not understood ends the reading.
            if value.as_ref().is_some_and(|v| !v.iter().all(|b| b.is_ascii_digit() || *b == b';')) {
                break;
            }
            match (name, value) {
                (b"mt", Some(v)) => (c.selected_match, c.context_match) = (v.clone(), v),
                (b"ms", Some(v)) => c.selected_match = v,
                (b"mc", Some(v)) => c.context_match = v,
                (b"sl", Some(v)) => c.selected_line = v,
                (b"cx", Some(v)) => c.context_line = v,
                (b"fn", Some(v)) => c.file = v,
                (b"ln", Some(v)) => c.line_number = v,
                (b"bn", Some(v)) => c.byte_offset = v,
                (b"se", Some(v)) => c.separator = v,
                (b"rv", None) => c.reverse = true,
                (b"ne", None) => c.no_erase = true,
                _ => {}
            }
        }
        c
    }

    /// `text` in a colour.
    pub(crate) fn paint(&self, color: &[u8], text: &[u8], out: &mut Vec<u8>) {
        if color.is_empty() || text.is_empty() {
            out.extend_from_slice(text);
            return;
        }
        let erase: &[u8] = if self.no_erase { b"" } else { b"\x1b[K" };
        for part in [b"\x1b[", color, b"m", erase, text, b"\x1b[m", erase] {
            out.extend_from_slice(part);
        }
    }
}
