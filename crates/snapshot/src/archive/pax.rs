//! The records of an extended header: `LENGTH KEY=VALUE\n`, where the length counts itself.

use std::collections::BTreeMap;

/// Most bytes of an extended header: two paths of the longest kind and some records beside them.
pub(super) const LONGEST: u64 = 1 << 20;

/// Most bytes of what global headers say together, which all entries have.
pub(super) const GLOBAL: u64 = 64 << 10;

/// The records, by key. An empty value takes a record of a global header back.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(BTreeMap<String, Vec<u8>>);

impl Records {
    /// Adds the records of a header; later ones win. The error says what is wrong.
    pub(super) fn parse(&mut self, mut data: &[u8]) -> Result<(), &'static str> {
        const WRONG: &str = "a damaged extended header";
        // What is behind the last record may be zeros.
        while data.first().is_some_and(|byte| *byte != 0) {
            let space = data.iter().take(8).position(|byte| *byte == b' ').ok_or(WRONG)?;
            let length: usize =
                std::str::from_utf8(&data[..space]).ok().and_then(|text| text.parse().ok()).ok_or(WRONG)?;
            let record = data.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or(WRONG)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(WRONG)?;
            let key = std::str::from_utf8(&record[..equals]).map_err(|_| WRONG)?;
            self.0.insert(key.to_owned(), record[equals + 1..].to_vec());
            data = &data[length..];
        }
        Ok(())
    }

    pub(super) fn put(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Bytes of all keys and values.
    pub(super) fn size(&self) -> u64 {
        self.0.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The header's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (key, value) in &self.0 {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            all.extend_from_slice(format!("{length} {key}=").as_bytes());
            all.extend_from_slice(value);
            all.push(b'\n');
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_damaged_is_refused() {
        for wrong in [
            &b"x"[..],
            b"9 a=b\n",
            b"6 a=bc\n",
            b"6 abc\n",
            b"0 a=b\n",
            b"3 a=b\n",
            b"99999999999999999999 a=b\n",
            b"-6 a=b\n",
            b"6 \xff=b\n",
        ] {
            assert!(Records::default().parse(wrong).is_err(), "{wrong:?}");
        }
        let mut records = Records::default();
        records.parse(b"6 a=b\n8 c=d\ne\n\0\0").unwrap();
        assert_eq!((records.get("a"), records.get("c")), (Some(&b"b"[..]), Some(&b"d\ne"[..])));
    }

    proptest! {
        #[test]
        fn records_come_back(
            all in prop::collection::btree_map("[A-Za-z.-]{1,12}", prop::collection::vec(any::<u8>(), 1..200), 0..6),
        ) {
            let mut records = Records::default();
            for (key, value) in &all {
                records.put(key, value.clone());
            }
            let mut read = Records::default();
            read.parse(&records.bytes()).unwrap();
            prop_assert_eq!(read.0, all);
        }

        #[test]
        fn nothing_panics(data in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Records::default().parse(&data);
        }
    }
}
