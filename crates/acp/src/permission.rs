//! Permission requests: which of the offered options a reply means. It never answers by itself except to refuse.

use crate::schema::{PermissionOption, PermissionOptionKind, RequestPermissionRequest};

/// Our number of an open permission request, unique on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionId(pub u64);

/// What a user says to a permission request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionReply {
    /// Allow this one.
    Once,
    /// Allow this and its like. Falls back to [`Once`](Self::Once) where the agent offers nothing lasting.
    Always,
    /// Refuse this one. Falls back to the outcome `cancelled` where the agent offers no refusal.
    Reject,
}

/// A permission request that waits for an answer.
#[derive(Debug, Clone)]
pub struct OpenPermission {
    /// Answer with this id.
    pub id: PermissionId,
    /// What the agent asked. Its tool call id may be unrelated to any tool call.
    pub request: RequestPermissionRequest,
}

/// What the name of an option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Yes,
    No,
    Unclear,
}

const YES: &[&str] = &["yes", "allow", "ok", "okay", "approve", "accept", "confirm"];
const NO: &[&str] =
    &["no", "not", "dont", "deny", "block", "cancel", "reject", "refuse", "decline", "disallow", "never"];
const LASTING: &[&str] = &["always", "session", "all", "every", "again", "permanently", "forever"];

fn words(name: &str) -> Vec<String> {
    let plain: String = name.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

fn meaning(name: &str) -> Meaning {
    let words = words(name);
    let yes = words.iter().any(|w| YES.contains(&w.as_str()));
    let no = words.iter().any(|w| NO.contains(&w.as_str()));
    // "Yes, and don't ask again" and "No, tell me what to allow": a plain first word decides.
    match (words.first().map(String::as_str), yes, no) {
        (Some("yes"), ..) | (_, true, false) => Meaning::Yes,
        (Some(first), ..) if NO.contains(&first) => Meaning::No,
        (_, false, true) => Meaning::No,
        _ => Meaning::Unclear,
    }
}

fn is_lasting(name: &str) -> bool {
    words(name).iter().any(|w| LASTING.contains(&w.as_str()))
}

/// The option a reply means, or `None` if none clearly does.
///
/// Kinds are trusted only where a single option has an allowing kind: some agents give every option the kind
/// `allow_once`, even "No". Otherwise the name has to agree. A name that plainly says the opposite is never chosen.
#[must_use]
pub fn choose(options: &[PermissionOption], reply: PermissionReply) -> Option<&PermissionOption> {
    let allowing = |o: &&PermissionOption| {
        matches!(o.kind, PermissionOptionKind::AllowOnce | PermissionOptionKind::AllowAlways)
    };
    let by_name = options.iter().filter(allowing).count() > 1;
    let allowed = |o: &&PermissionOption| match meaning(&o.name) {
        Meaning::Yes => true,
        Meaning::No => false,
        Meaning::Unclear => !by_name,
    };
    let of_kind = |kind: PermissionOptionKind| options.iter().filter(move |o| o.kind == kind);
    match reply {
        PermissionReply::Once => {
            let candidates: Vec<_> = of_kind(PermissionOptionKind::AllowOnce).filter(allowed).collect();
            let single: Vec<_> = candidates.iter().copied().filter(|o| !is_lasting(&o.name)).collect();
            match (single.as_slice(), candidates.as_slice()) {
                ([one], _) | ([], [one]) => Some(*one),
                // "Allow main", "Allow dev": which one is not ours to say.
                _ => None,
            }
        }
        PermissionReply::Always => of_kind(PermissionOptionKind::AllowAlways)
            .find(allowed)
            .or_else(|| of_kind(PermissionOptionKind::AllowOnce).find(|o| allowed(o) && is_lasting(&o.name)))
            .or_else(|| choose(options, PermissionReply::Once)),
        PermissionReply::Reject => {
            let refusing = |o: &&PermissionOption| meaning(&o.name) != Meaning::Yes;
            of_kind(PermissionOptionKind::RejectOnce)
                .find(refusing)
                .or_else(|| options.iter().filter(allowing).find(|o| meaning(&o.name) == Meaning::No))
                .or_else(|| of_kind(PermissionOptionKind::RejectAlways).find(refusing))
        }
    }
}

/// For hosts that approve everything: allow once, else always. `None` means: ask, or refuse.
#[must_use]
pub fn auto_approve(options: &[PermissionOption]) -> Option<&PermissionOption> {
    choose(options, PermissionReply::Once).or_else(|| choose(options, PermissionReply::Always))
}

/// The answer to a request nobody answered: `reject_once`, else none (`cancelled`).
pub(crate) fn on_timeout(options: &[PermissionOption]) -> Option<&PermissionOption> {
    options.iter().find(|o| o.kind == PermissionOptionKind::RejectOnce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PermissionOptionKind::{AllowAlways as A, AllowOnce as O, RejectAlways as N, RejectOnce as R};
    use PermissionReply::{Always, Once, Reject};

    fn check(options: &[(&'static str, PermissionOptionKind)], want: [Option<&str>; 3]) {
        let offered: Vec<_> =
            options.iter().map(|(name, kind)| PermissionOption::new(*name, *name, *kind)).collect();
        let got = [Once, Always, Reject].map(|reply| choose(&offered, reply).map(|o| o.name.as_str()));
        assert_eq!(got, want, "{options:?}");
    }

    #[test]
    fn replies_on_real_option_sets() {
        // Claude, our own agent.
        check(
            &[("Always Allow", A), ("Allow", O), ("Reject", R)],
            [Some("Allow"), Some("Always Allow"), Some("Reject")],
        );
        // pi: every option is allow_once.
        check(&[("Yes", O), ("No", O)], [Some("Yes"), Some("Yes"), Some("No")]);
        check(&[("No", O), ("Yes", O)], [Some("Yes"), Some("Yes"), Some("No")]);
        check(&[("Yes", O), ("Yes, always", O), ("No", O)], [Some("Yes"), Some("Yes, always"), Some("No")]);
        // Qwen: two lasting kinds.
        check(
            &[
                ("Yes, allow once", O),
                ("Always allow in this project", A),
                ("Always allow for this user", A),
                ("No, suggest changes (esc)", R),
            ],
            [
                Some("Yes, allow once"),
                Some("Always allow in this project"),
                Some("No, suggest changes (esc)"),
            ],
        );
    }

    #[test]
    fn unclear_sets_are_not_approved() {
        check(&[("Main", O), ("Dev", O)], [None, None, None]);
        check(&[("Allow main", O), ("Allow dev", O)], [None, None, None]);
        check(&[("No", O), ("Block", O)], [None, None, Some("No")]);
        check(&[("No", O)], [None, None, Some("No")]);
        check(&[("Do it", O), ("Stop", R)], [Some("Do it"), Some("Do it"), Some("Stop")]);
        check(&[("Always", A), ("Nope", N)], [None, Some("Always"), Some("Nope")]);
        check(&[("Yes", R)], [None, None, None]);
        check(&[], [None, None, None]);
    }

    #[test]
    fn automatic_approval_prefers_once() {
        let offered = [PermissionOption::new("a", "Always Allow", A), PermissionOption::new("o", "Allow", O)];
        assert_eq!(auto_approve(&offered).map(|o| o.option_id.to_string()), Some("o".to_owned()));
        assert_eq!(auto_approve(&offered[..1]).map(|o| o.option_id.to_string()), Some("a".to_owned()));
        let all_once = [PermissionOption::new("0", "Perhaps", O), PermissionOption::new("1", "No", O)];
        assert_eq!(auto_approve(&all_once), None);
    }

    #[test]
    fn names_decide_by_their_words() {
        for (name, want) in [
            ("Yes, and don't ask again", Meaning::Yes),
            ("No, and tell it what to allow", Meaning::No),
            ("Don't allow", Meaning::No),
            ("Allow or deny", Meaning::Unclear),
            ("Notify", Meaning::Unclear),
            ("DENY", Meaning::No),
            ("ok!", Meaning::Yes),
            ("", Meaning::Unclear),
        ] {
            assert_eq!(meaning(name), want, "{name}");
        }
    }
}
