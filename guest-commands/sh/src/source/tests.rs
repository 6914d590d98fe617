//! What can be said about the reader for any text: it ends, it does not panic, and a prefix is complete, unfinished or wrong.

use super::units::{Next, Units};
use super::{Dialect, SyntaxError};

const SCRIPT: &str = r#"if [ "$a" = b ]; then echo "x $(case y in y) echo ')';; esac)"; elif ((1 + 2)); then :; else :; fi
for i in 1 {2..3} "$@"; do cat <<-E | tr a b; done 2>&1 >| out
	text $i ${x:-"}"} `echo \`date\``
	E
f() { local -a v=([0]=1 "two words" # comment )
); [[ $1 == @(a|b) && ! -f $x || ( y =~ (z|q)+ ) ]]; } <<'A' <<B
$raw
A
$(echo cooked)
B
case $x in (a|b) ;; c) ;& *) echo;;& esac; while read -r l; do break; done < <(ls); a[1]+=$((3 << 2)) b=$'\'' !
select x do :; done; for ((;;)) { :; }; coproc N { cat; }; time -p ! true |& cat &
"#;

/// Reads all of a text; the number of commands, or why it is wrong.
fn read_all(text: &str, complete: bool) -> Result<(usize, bool), SyntaxError> {
    let mut units = Units::new(text.to_owned(), 1);
    units.complete = complete;
    for count in 0.. {
        match units.next(Dialect { extglob: true, ..Dialect::default() })? {
            Next::Unit(_) => {}
            Next::End => return Ok((count, false)),
            Next::More => return Ok((count, true)),
        }
    }
    unreachable!("a text has an end")
}

#[test]
fn a_script_is_complete() {
    assert_eq!(read_all(SCRIPT, true), Ok((5, false)));
    assert_eq!(read_all(SCRIPT, false), Ok((5, false)));
}

#[test]
fn lines_before_the_last_are_never_wrong() {
    for (end, _) in SCRIPT.match_indices('\n') {
        let prefix = &SCRIPT[..=end];
        assert!(read_all(prefix, false).is_ok(), "{prefix}");
    }
    for end in 0..SCRIPT.len() {
        let _ = read_all(&SCRIPT[..end], true);
        let _ = read_all(&SCRIPT[..end], false);
    }
}

#[test]
fn nothing_makes_it_panic() {
    const PIECES: &[&str] = &[
        "if ",
        "then ",
        "fi",
        "for ",
        "in ",
        "do ",
        "done",
        "case ",
        "esac",
        "{ ",
        "}",
        "(",
        ")",
        "((",
        "))",
        "[[ ",
        " ]]",
        ";",
        ";;",
        "&",
        "&&",
        "||",
        "|",
        "<",
        ">",
        "<<",
        "<<-E",
        "<<<",
        "\n",
        "E\n",
        " ",
        "$",
        "${",
        "$(",
        "$((",
        "`",
        "'",
        "\"",
        "\\",
        "\\\n",
        "a",
        "a=",
        "a=(",
        "a[",
        "]",
        "#",
        "=~ ",
        "!",
        "function ",
        "f()",
        "é",
        "{a,b}",
        "~",
        "2>",
        "{x}>",
        "coproc ",
        "time ",
        "\0",
        "*",
        "@(",
        "$'",
        "%",
        "/",
        ":",
    ];
    let mut state = 0x9e37_79b9_u32;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % n
    };
    for _ in 0..20_000 {
        let text: String = (0..1 + random(24)).map(|_| PIECES[random(PIECES.len())]).collect();
        let _ = read_all(&text, true);
        let _ = read_all(&text, false);
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [
        ("( ", " )"),
        ("{ ", " ; }"),
        ("echo $(", ")"),
        ("echo \"$(", ")\""),
        ("if a; then ", "; fi"),
        ("${a:-", "}"),
    ] {
        let text = |n: usize| format!("{}a{}\n", open.repeat(n), close.repeat(n));
        let found = std::thread::Builder::new()
            .stack_size(64 << 20)
            .spawn(move || (read_all(&text(40), true).is_ok(), read_all(&text(50_000), true).is_err()))
            .map(std::thread::JoinHandle::join);
        assert!(matches!(found, Ok(Ok((true, true)))), "{open}");
    }
}
