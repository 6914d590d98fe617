//! Names of users and groups out of `/etc/passwd` and `/etc/group`. It asks no directory service.

use std::collections::HashMap;

/// The two tables, each read when first asked.
#[derive(Debug, Default)]
pub struct Names {
    users: Option<HashMap<u32, String>>,
    groups: Option<HashMap<u32, String>>,
}

impl Names {
    /// The name of a user, if there is one.
    pub fn user(&mut self, uid: u32) -> Option<String> {
        self.users.get_or_insert_with(|| table("/etc/passwd")).get(&uid).cloned()
    }

    /// The name of a group, if there is one.
    pub fn group(&mut self, gid: u32) -> Option<String> {
        self.groups.get_or_insert_with(|| table("/etc/group")).get(&gid).cloned()
    }

    /// The name of a user, or the number.
    pub fn user_or_id(&mut self, uid: u32) -> String {
        self.user(uid).unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group, or the number.
    pub fn group_or_id(&mut self, gid: u32) -> String {
        self.group(gid).unwrap_or_else(|| gid.to_string())
    }
}

fn table(path: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in lines(path) {
        if let (Some(name), Some(Ok(id))) = (line.first(), line.get(2).map(|id| id.parse())) {
            names.entry(id).or_insert_with(|| name.clone());
        }
    }
    names
}

fn lines(path: &str) -> Vec<Vec<String>> {
    let text = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(|l| l.split(':').map(str::to_owned).collect()).collect()
}

/// A user's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// The id of its own group.
    pub gid: u32,
}

/// The account of this name.
pub fn account(name: &str) -> Option<Account> {
    lines("/etc/passwd").into_iter().find(|l| l.first().is_some_and(|n| n == name)).and_then(|l| {
        Some(Account { name: name.to_owned(), uid: l.get(2)?.parse().ok()?, gid: l.get(3)?.parse().ok()? })
    })
}

/// The id of the group of this name.
pub fn group_id(name: &str) -> Option<u32> {
    lines("/etc/group").into_iter().find(|l| l.first().is_some_and(|n| n == name))?.get(2)?.parse().ok()
}

/// The groups that list this user as a member, in file order.
pub fn groups_of(user: &str) -> Vec<u32> {
    lines("/etc/group")
        .into_iter()
        .filter(|l| l.get(3).is_some_and(|members| members.split(',').any(|m| m == user)))
        .filter_map(|l| l.get(2)?.parse().ok())
        .collect()
}

/// A user operand: a name or a number.
pub fn user_operand(text: &str) -> Option<u32> {
    account(text).map(|a| a.uid).or_else(|| text.strip_prefix('+').unwrap_or(text).parse().ok())
}

/// A group operand: a name or a number.
pub fn group_operand(text: &str) -> Option<u32> {
    group_id(text).or_else(|| text.strip_prefix('+').unwrap_or(text).parse().ok())
}
