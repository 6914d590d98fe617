//! Time zones in a machine: the database, the zone of the machine, and one meaning of `TZ` for the shell and all tools.

use agentos::DeleteOptions;
use agentos_tests::{Sidecar, sh};

static SIDECAR: Sidecar = Sidecar::new();

const SUMMER: &str = "2024-07-03 09:46:40 UTC";

#[test]
fn the_shell_and_the_tools_agree_on_a_zone() {
    SIDECAR.test(async |os| {
        for (zone, local) in [
            ("", SUMMER),
            ("Europe/Paris", "2024-07-03 11:46:40 CEST"),
            ("America/New_York", "2024-07-03 05:46:40 EDT"),
            (":America/Lima", "2024-07-03 04:46:40 -05"),
            ("/usr/share/zoneinfo/Asia/Tokyo", "2024-07-03 18:46:40 JST"),
            ("/usr/share/zoneinfo/US/Pacific", "2024-07-03 02:46:40 PDT"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-07-03 19:46:40 AEST"),
            ("EST5EDT4", "2024-07-03 05:46:40 EDT"),
            ("NOWHERE", "2024-07-03 09:46:40 NOWHERE"),
            ("/dev/zero", "2024-07-03 09:46:40"),
        ] {
            let script = format!(
                "export TZ='{zone}'; cd /tmp; s=1720000000\n\
                 printf '%(%F %T %Z)T\\n' $s\n\
                 date -d @$s '+%F %T'\n\
                 touch -d '{}' f; stat -c %Y f; stat -c %y f | cut -d. -f1\n\
                 ls -l --time-style='+%F %T' f | cut -d' ' -f6,7\n\
                 find . -name f -newermt '{}' -printf '%TY-%Tm-%Td %TH:%TM\\n'",
                &local[..19],
                &local[..16],
            );
            let result = sh(os, &script).await;
            let clock = &local[..19];
            let shown = if local.len() > 19 { local.to_owned() } else { format!("{local} ") };
            let wanted = format!("{shown}\n{clock}\n1720000000\n{clock}\n{clock}\n{}\n", &clock[..16]);
            assert_eq!((result.exit_code, &*result.stdout), (0, &*wanted), "{zone}: {result:?}");
        }
    });
}

#[test]
fn the_zone_of_the_machine_is_its_localtime() {
    SIDECAR.test(async |os| {
        let times =
            "unset TZ; printf '%(%T %Z)T\\n' 0; date -d @0 '+%T %Z'; touch -d @0 /tmp/f; stat -c %y /tmp/f";
        let result = sh(os, &format!("readlink /etc/localtime; cat /etc/timezone; {times}")).await;
        let wanted = "/usr/share/zoneinfo/Etc/UTC\nEtc/UTC\n00:00:00 UTC\n00:00:00 UTC\n\
                      1970-01-01 00:00:00.000000000 +0000\n";
        assert_eq!(result.stdout, wanted, "{result:?}");
        os.delete("/etc/localtime", DeleteOptions::default()).await.unwrap();
        os.symlink("/usr/share/zoneinfo/Asia/Kolkata", "/etc/localtime").await.unwrap();
        let result = sh(os, times).await;
        let wanted = "05:30:00 IST\n05:30:00 IST\n1970-01-01 05:30:00.000000000 +0530\n";
        assert_eq!(result.stdout, wanted, "{result:?}");
        // One that is no zone, or none at all, is UTC.
        for content in [Some("no zone"), None] {
            os.delete("/etc/localtime", DeleteOptions::default()).await.unwrap();
            if let Some(content) = content {
                os.write_file("/etc/localtime", content).await.unwrap();
            }
            let result = sh(os, times).await;
            assert!(result.stdout.starts_with("00:00:00 UTC\n00:00:00 UTC\n"), "{content:?}: {result:?}");
        }
    });
}

#[test]
fn dates_may_name_a_zone_of_their_own() {
    SIDECAR.test(async |os| {
        let result = sh(
            os,
            "export TZ=Europe/Berlin; date -d 'TZ=\"Asia/Tokyo\" 2024-07-01 12:00' '+%F %T %Z'\n\
             TZ=America/New_York date -d @1720000000 '+%F %T %Z'; date -Is -d @1720000000; date -ud @0 +%Z",
        )
        .await;
        let wanted = "2024-07-01 05:00:00 CEST\n2024-07-03 05:46:40 EDT\n2024-07-03T11:46:40+02:00\nUTC\n";
        assert_eq!((result.exit_code, &*result.stdout), (0, wanted), "{result:?}");
    });
}

#[test]
fn a_zone_file_that_is_none_stops_nothing() {
    SIDECAR.test(async |os| {
        let result = sh(
            os,
            "cd /tmp; mkfifo fifo; ln -s loop loop; head -c 60 /usr/share/zoneinfo/Europe/Paris > short\n\
             head -c 44 /usr/share/zoneinfo/Europe/Paris > huge; printf '\\377%.0s' {1..300} >> huge\n\
             yes TZif2 | head -c 1000000 > long\n\
             for z in fifo loop short huge long /dev/zero /dev/tty /proc/self/fd /proc/self/mounts .; do\n\
             case $z in /*) ;; *) z=/tmp/$z ;; esac; export TZ=$z; printf '%(%T)T ' 0; date -d @0 +%T; done",
        )
        .await;
        assert_eq!(
            (result.exit_code, result.stdout),
            (0, "00:00:00 00:00:00\n".repeat(10)),
            "{}",
            result.stderr
        );
    });
}
