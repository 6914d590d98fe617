//! Tables of policies: what they refuse to be, what they allow, which addresses they may lead to.

use std::collections::BTreeMap;

use url::Url;

use super::kit::credential;
use crate::{Origin, Policy, PolicySource};

#[derive(Clone, Default)]
struct Case<'a> {
    allow: &'a [&'a str],
    credentials: &'a [(&'a str, &'a str, &'a str)],
    secrets: &'a [(&'a str, &'a str)],
    ports: &'a [u16],
}

fn compile(case: &Case<'_>) -> Result<Policy, crate::Refusal> {
    let secrets = case.secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned().into()));
    Policy::compile(PolicySource {
        allow: case.allow.iter().map(|text| (*text).to_owned()).collect(),
        credentials: case.credentials.iter().map(credential).collect(),
        secrets: secrets.collect::<BTreeMap<_, _>>(),
        loopback_exempt_ports: case.ports.to_vec(),
    })
}

fn origin(text: &str) -> Origin {
    Origin::of(&Url::parse(text).unwrap()).unwrap()
}

#[test]
fn what_can_match_nothing_is_refused_with_its_path() {
    for (text, good) in [
        ("https://api.example.com", true),
        ("http://api.example.com", true),
        ("https://API.Example.com:8443", true),
        ("https://api.example.com:443", true),
        ("https://*.example.com", true),
        ("https://*.example.com:8443", true),
        ("https://bücher.example", true),
        ("http://10.0.0.7:8080", true),
        ("http://[fd00::1]", true),
        ("https://1.1.1.1", true),
        ("http://127.0.0.1:3000", true),
        ("http://localhost:3000", true),
        ("http://[::1]:3000", true),
        ("http://*.localhost:3000", true),
        ("", false),
        ("api.example.com", false),
        ("api.example.com:443", false),
        ("//api.example.com", false),
        ("ftp://api.example.com", false),
        ("wss://api.example.com", false),
        ("HTTPS://api.example.com", false),
        ("https://", false),
        ("https://api.example.com/", false),
        ("https://api.example.com/v1", false),
        ("https://api.example.com?x", false),
        ("https://api.example.com#x", false),
        ("https://user@api.example.com", false),
        ("https://api.example.com:0", false),
        ("https://api.example.com:99999", false),
        ("https://api .example.com", false),
        (" https://api.example.com", false),
        ("https://api.example.com\n", false),
        ("https://*", false),
        ("https://*.", false),
        ("https://*.*.example.com", false),
        ("https://api.*.com", false),
        ("https://a*.example.com", false),
        ("https://*.10.0.0.7", false),
        ("*", false),
        ("*://example.com", false),
        ("http://127.0.0.1", false),
        ("http://127.0.0.1:3001", false),
        ("http://localhost", false),
        ("http://a.localhost:3001", false),
        ("http://[::1]:3001", false),
        ("http://0.0.0.0:3000", false),
        ("http://[::]:3000", false),
        ("http://224.0.0.1:3000", false),
        ("http://255.255.255.255:3000", false),
    ] {
        let allow = ["https://first.example:3000", text];
        let result = compile(&Case { allow: &allow, ports: &[3000], ..Case::default() });
        match result {
            Ok(_) => assert!(good, "{text:?} is taken"),
            Err(refusal) => {
                assert!(!good, "{text:?}: {refusal}");
                assert_eq!(refusal.path, "egress.allow[1]", "{text:?}");
            }
        }
    }
}

#[test]
fn the_whole_holds_together() {
    let a = "https://a.example";
    let base = Case { allow: &[a], ..Case::default() };
    let key = &[("key", "hunter2")];
    let near = "http://10.0.0.7";
    for (case, path) in [
        (Case::default(), "egress.allow"),
        (Case { allow: &[a, a], ..base }, "egress.allow[1]"),
        (Case { allow: &[a, "https://A.example:443"], ..base }, "egress.allow[1]"),
        (Case { ports: &[443, 443], ..base }, "loopbackExemptPorts[1]"),
        (Case { secrets: key, ..base }, "secrets.key"),
        (Case { credentials: &[(a, "x", "{key}")], ..base }, "egress.credentials[0].value"),
        (Case { credentials: &[(a, "x", "constant")], ..base }, "egress.credentials[0].value"),
        (Case { credentials: &[(a, "x", "{key")], secrets: key, ..base }, "egress.credentials[0].value"),
        (Case { credentials: &[(a, "x", "{key}\n")], secrets: key, ..base }, "egress.credentials[0].value"),
        (
            Case { credentials: &[(a, "x", "{key}")], secrets: &[("key", "")], ..base },
            "egress.credentials[0].value",
        ),
        (
            Case { credentials: &[(a, "x", "{key}")], secrets: &[("key", "hunter2\r\nx: y")], ..base },
            "egress.credentials[0].value",
        ),
        (Case { credentials: &[(a, "x y", "{key}")], secrets: key, ..base }, "egress.credentials[0].header"),
        (Case { credentials: &[(a, "Host", "{key}")], secrets: key, ..base }, "egress.credentials[0].header"),
        (
            Case { credentials: &[(a, "x", "{key}"), (a, "X", "{key}")], secrets: key, ..base },
            "egress.credentials[1].header",
        ),
        (
            Case { credentials: &[("https://b.example", "x", "{key}")], secrets: key, ..base },
            "egress.credentials[0].origin",
        ),
        (
            Case {
                allow: &["https://*.example"],
                credentials: &[("https://*.example", "x", "{key}")],
                secrets: key,
                ..base
            },
            "egress.credentials[0].origin",
        ),
        (
            Case {
                allow: &["http://a.example"],
                credentials: &[("http://a.example", "x", "{key}")],
                secrets: key,
                ..base
            },
            "egress.credentials[0].origin",
        ),
        (
            Case {
                allow: &["http://1.1.1.1"],
                credentials: &[("http://1.1.1.1", "x", "{key}")],
                secrets: key,
                ..base
            },
            "egress.credentials[0].origin",
        ),
        (Case { allow: &[near], credentials: &[(near, "x", "{key}")], secrets: key, ..base }, ""),
        (
            Case {
                allow: &["http://localhost:80", "https://*.example"],
                credentials: &[("http://localhost", "x", "{key}"), (a, "x", "{key}{key}.{other}")],
                secrets: &[("key", "hunter2"), ("other", "7")],
                ports: &[80],
            },
            "",
        ),
    ] {
        match compile(&case) {
            Ok(policy) => {
                assert_eq!(path, "");
                assert!(!format!("{policy:?}").contains("hunter2"));
            }
            Err(refusal) => {
                assert_eq!(refusal.path, path, "{refusal}");
                assert!(!refusal.reason.contains("hunter2"), "{refusal}");
            }
        }
    }
}

#[test]
fn patterns_allow_what_they_say() {
    let policy = compile(&Case {
        allow: &[
            "https://api.example.com",
            "https://*.example.org",
            "http://10.0.0.7:8080",
            "https://bücher.example",
        ],
        ..Case::default()
    })
    .unwrap();
    for (url, allowed) in [
        ("https://api.example.com", true),
        ("https://api.example.com:443/v1?q", true),
        ("https://API.EXAMPLE.COM", true),
        ("http://api.example.com", false),
        ("https://api.example.com:8443", false),
        ("https://example.com", false),
        ("https://x.api.example.com", false),
        ("https://api.example.com.evil.org", false),
        ("https://api.example.com.", false),
        ("https://a.example.org", true),
        ("https://example.org", false),
        ("https://a.b.example.org", false),
        ("https://a-example.org", false),
        ("https://.example.org", false),
        ("http://10.0.0.7:8080", true),
        ("http://10.0.0.7", false),
        ("http://0xa000007:8080", true),
        ("http://10.0.0.8:8080", false),
        ("https://xn--bcher-kva.example", true),
    ] {
        let Ok(parsed) = Url::parse(url) else {
            assert!(!allowed, "{url}");
            continue;
        };
        let answer = Origin::of(&parsed).is_some_and(|origin| policy.check(&origin).is_ok());
        assert_eq!(answer, allowed, "{url}");
    }
    let denied = policy.check(&origin("http://evil.example:81")).unwrap_err();
    assert_eq!(denied.code, crate::Code::Denied);
    assert!(denied.message.contains("\"http://evil.example:81\" in `egress.allow`"), "{}", denied.message);
    let denied = Policy::nothing().check(&origin("https://a.example")).unwrap_err();
    assert!(denied.message.contains("has no `egress`"), "{}", denied.message);
}

#[test]
fn addresses_are_reached_or_not_whatever_name_leads_to_them() {
    let policy = compile(&Case {
        allow: &[
            "https://a.example:3000",
            "https://a.example:81",
            "http://169.254.169.254",
            "http://10.0.0.7:3000",
        ],
        ports: &[3000],
        ..Case::default()
    })
    .unwrap();
    for (of, ip, reached) in [
        ("https://a.example:3000", "93.184.216.34", true),
        ("https://a.example:3000", "127.0.0.1", true),
        ("https://a.example:3000", "::1", true),
        ("https://a.example:3000", "::ffff:127.0.0.1", true),
        ("https://a.example:81", "127.0.0.1", false),
        ("https://a.example:81", "::ffff:127.0.0.1", false),
        ("https://a.example:3000", "0.0.0.0", false),
        ("https://a.example:3000", "10.0.0.7", false),
        ("https://a.example:3000", "169.254.169.254", false),
        ("https://a.example:3000", "fd00:ec2::254", false),
        ("http://169.254.169.254", "169.254.169.254", true),
        ("http://10.0.0.7:3000", "10.0.0.7", true),
        ("http://10.0.0.7:3000", "10.0.0.8", false),
    ] {
        assert_eq!(policy.may_reach(&origin(of), ip.parse().unwrap()), reached, "{of} {ip}");
    }
}
