//! The table behind an associative array. It lists its keys in the order in which bash's own table does, since what scripts
//! print shows that order.

use std::collections::BTreeMap;

/// How many rows the table has at first, how full a row may be on average, and by how much the table then grows.
const ROWS: u32 = 1024;
const FULL: usize = 2;
const GROWTH: u32 = 4;

/// Keys with their values.
#[derive(Debug, Clone)]
pub(crate) struct Assoc {
    /// The newest key of a row comes first in it.
    items: BTreeMap<String, (u64, String)>,
    rows: u32,
    next: u64,
}

impl Default for Assoc {
    fn default() -> Self {
        Assoc { items: BTreeMap::new(), rows: ROWS, next: 0 }
    }
}

impl PartialEq for Assoc {
    fn eq(&self, other: &Self) -> bool {
        self.items.len() == other.items.len() && self.items.iter().all(|(k, (_, v))| other.get(k) == Some(v))
    }
}

impl FromIterator<(String, String)> for Assoc {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(items: T) -> Self {
        let mut table = Assoc::default();
        for (key, value) in items {
            table.insert(key, value);
        }
        table
    }
}

/// FNV-1 over the bytes of a key.
pub(crate) fn hash(key: &str) -> u32 {
    crate::text::to_bytes(key)
        .iter()
        // Bytes count as signed numbers.
        .fold(2_166_136_261, |hash: u32, byte| hash.wrapping_mul(16_777_619) ^ i32::from(*byte as i8) as u32)
}

impl Assoc {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&String> {
        self.items.get(key).map(|(_, value)| value)
    }

    /// The value of a key, which comes into being if need be.
    pub(crate) fn entry(&mut self, key: String) -> &mut String {
        if !self.items.contains_key(&key) {
            if self.items.len() >= self.rows as usize * FULL {
                self.grow();
            }
            self.next += 1;
        }
        let next = self.next;
        &mut self.items.entry(key).or_insert_with(|| (next, String::new())).1
    }

    pub(crate) fn insert(&mut self, key: String, value: String) {
        *self.entry(key) = value;
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.items.remove(key);
    }

    /// More rows: the keys move one after the other in their order.
    fn grow(&mut self) {
        let order: Vec<String> = self.iter().map(|(key, _)| key.clone()).collect();
        for (i, key) in order.iter().enumerate() {
            if let Some((age, _)) = self.items.get_mut(key) {
                *age = i as u64;
            }
        }
        self.next = order.len() as u64;
        self.rows = self.rows.saturating_mul(GROWTH);
    }

    /// Keys and values in the order of the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        let mut order: Vec<_> = self
            .items
            .iter()
            .map(|(key, (age, value))| ((hash(key) & (self.rows - 1), std::cmp::Reverse(*age)), (key, value)))
            .collect();
        order.sort_unstable_by_key(|(place, _)| *place);
        order.into_iter().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::Assoc;

    #[test]
    fn keys_have_an_order_of_their_own() {
        let mut table = Assoc::default();
        for key in ["one", "two", "three", "four", "five"] {
            table.insert(key.to_owned(), String::new());
        }
        let keys: Vec<&str> = table.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["four", "two", "three", "one", "five"]);
        table.remove("five");
        table.insert("one".to_owned(), "1".to_owned());
        assert_eq!(table.len(), 4);
        assert_eq!(table.get("one").map(String::as_str), Some("1"));
    }
}
