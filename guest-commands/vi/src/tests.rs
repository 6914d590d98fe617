//! Keys and commands in, text and cursor out: tables for all of the editor but its terminal.

use crate::buffer::{Buffer, place};
use crate::editor::{Editor, Mode, Stop};
use crate::host::{Event, Host};
use crate::key::{self, Key};
use crate::screen::Screen;
use std::collections::VecDeque;

/// Types keys, and then nothing more.
struct Fingers {
    keys: VecDeque<Key>,
}

impl Host for Fingers {
    fn draws(&self) -> bool {
        true
    }
    fn size(&self) -> (usize, usize) {
        (10, 40)
    }
    fn event(&mut self, _screen: Option<&Screen>) -> Event {
        self.keys.pop_front().map_or(Event::End { status: 1, note: "", keep: false }, Event::Key)
    }
}

/// An editor after keys on a text.
fn edited(text: &str, keys: &str) -> Editor {
    let mut typed = String::new();
    let mut rest = keys;
    while let Some(at) = rest.find('<') {
        typed.push_str(&rest[..at]);
        let named = [
            ("<Esc>", "\x1b"),
            ("<CR>", "\r"),
            ("<lt>", "<"),
            ("<Tab>", "\t"),
            ("<BS>", "\x7f"),
            ("<Up>", "\x1b[A"),
        ];
        let found = named.iter().find(|(name, _)| rest[at..].starts_with(name));
        if let Some((name, text)) = found {
            typed.push_str(text);
            rest = &rest[at + name.len()..];
        } else if rest[at..].starts_with("<C-") && rest[at + 4..].starts_with('>') {
            typed.push(char::from(rest.as_bytes()[at + 3].to_ascii_uppercase() & 0x1f));
            rest = &rest[at + 5..];
        } else {
            typed.push('<');
            rest = &rest[at + 1..];
        }
    }
    typed.push_str(rest);
    let mut e = Editor::new(Box::new(Fingers { keys: key::of_text(&typed) }));
    e.buf = Buffer::of(text.as_bytes());
    // The text as it would be kept at the end of the keys is what the tests look at; nothing is written.
    e.buf.set_modified(false);
    while e.quit.is_none() {
        match e.one() {
            Err(Stop::End) => break,
            Err(stop) => e.complain(stop),
            Ok(()) => {}
        }
        e.buf.set_modified(false);
        if e.quit.is_none() && !e.output.is_empty() {
            let _ = e.show_output();
        }
    }
    e
}

fn text(e: &Editor) -> String {
    String::from_utf8_lossy(&e.buf.bytes(0, e.buf.len())).into_owned()
}

/// The text with `|` where the cursor is.
fn shown(e: &Editor) -> String {
    let mut out = String::new();
    for i in 0..e.buf.len() {
        let line = String::from_utf8_lossy(e.buf.line(i)).into_owned();
        if i == e.cursor.line {
            out.push_str(&line[..e.cursor.col]);
            out.push('|');
            out.push_str(&line[e.cursor.col..]);
        } else {
            out.push_str(&line);
        }
        if i < e.buf.last() {
            out.push('\n');
        }
    }
    out
}

fn check(cases: &[(&str, &str, &str)]) {
    let mut wrong = String::new();
    for (before, keys, after) in cases {
        let found = shown(&edited(before, keys));
        if found != *after {
            wrong.push_str(&format!("{before:?} {keys:?}\n  expected {after:?}\n  got      {found:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn motions_lead_where_they_do_in_vi() {
    check(&[
        ("foo bar.baz", "w", "foo |bar.baz"),
        ("foo bar.baz", "ww", "foo bar|.baz"),
        ("foo bar.baz", "2W", "foo bar.ba|z"),
        ("foo bar", "e", "fo|o bar"),
        ("foo bar", "$b", "foo |bar"),
        ("foo bar", "wge", "fo|o bar"),
        ("foo bar", "$", "foo ba|r"),
        ("  foo", "^", "  |foo"),
        ("  foo", "$0", "|  foo"),
        ("a,b,c", "f,", "a|,b,c"),
        ("a,b,c", "f,;", "a,b|,c"),
        ("a,b,c", "2f,,", "a|,b,c"),
        ("a,b,c", "$F,", "a,b|,c"),
        ("a,b,c", "t,", "|a,b,c"),
        ("abc,d,e", "t,;", "abc,|d,e"),
        ("a,b,c", "$T,", "a,b,|c"),
        ("1\n2\n3", "G", "1\n2\n|3"),
        ("1\n2\n3", "2G", "1\n|2\n3"),
        ("1\n2\n3", "Ggg", "|1\n2\n3"),
        ("1\n2\n3", "jj<C-p>", "1\n|2\n3"),
        ("abc\nd\nefg", "$jj", "abc\nd\nef|g"),
        ("abc\nd\nefg", "lljj", "abc\nd\nef|g"),
        ("a(b[c]d)e", "%", "a(b[c]d|)e"),
        ("a(b[c]d)e", "%%", "a|(b[c]d)e"),
        ("a\nb\n\nc\n\nd", "}", "a\nb\n|\nc\n\nd"),
        ("a\nb\n\nc\n\nd", "2}", "a\nb\n\nc\n|\nd"),
        ("a\nb\n\nc\n\nd", "G{", "a\nb\n\nc\n|\nd"),
        ("One two. Three. Four", ")", "One two. |Three. Four"),
        ("One two. Three. Four", "$((", "One two. |Three. Four"),
        ("abcdef", "3|", "ab|cdef"),
        ("ab\ncd", "<C-m>", "ab\n|cd"),
        ("foo bar foo", "*", "foo bar |foo"),
        ("foo bar foo", "*#", "|foo bar foo"),
        ("a\nb\na", "/a<CR>", "a\nb\n|a"),
        ("a\nb\na", "?b<CR>", "a\n|b\na"),
        ("a\nb\na", "/a<CR>n", "|a\nb\na"),
        ("a\nb\na", "/a<CR>N", "|a\nb\na"),
        ("xx foo y", "/foo/e<CR>", "xx fo|o y"),
        ("a\nfoo\nb", "/foo/+1<CR>", "a\nfoo\n|b"),
        ("a\nfoo\nbar foo", "/bar/;/foo<CR>", "a\nfoo\nbar |foo"),
        ("a\nb\nc", "majj'a", "|a\nb\nc"),
        ("a\nbcd\nc", "jlmaG`a", "a\nb|cd\nc"),
        ("a\nb\nc", "G``", "|a\nb\nc"),
        ("日本語", "l", "日|本語"),
        ("日本語", "$h", "日|本語"),
    ]);
}

#[test]
fn operators_take_what_motions_say() {
    check(&[
        ("foo bar baz", "dw", "|bar baz"),
        ("foo bar baz", "2dw", "|baz"),
        ("foo bar baz", "d2w", "|baz"),
        ("foo bar\nbaz", "wdw", "foo| \nbaz"),
        ("foo bar", "de", "| bar"),
        ("foo bar", "$db", "foo |r"),
        ("foo bar", "wD", "foo| "),
        ("foo bar", "cwxy<Esc>", "x|y bar"),
        ("foo bar", "wcwxy<Esc>", "foo x|y"),
        ("foo bar", "c$x<Esc>", "|x"),
        ("a\nb\nc", "ddp", "b\n|a\nc"),
        ("a\nb\nc", "2ddP", "|a\nb\nc"),
        ("a\nb\nc", "dj", "|c"),
        ("a\nb\nc", "jdG", "|a"),
        ("a\nb\nc", "jdgg", "|c"),
        ("a(b)c", "ldi(", "a(|)c"),
        ("a(b)c", "lda(", "a|c"),
        ("say \"hi\" x", "ci\"yo<Esc>", "say \"y|o\" x"),
        ("foo bar baz", "wdaw", "foo |baz"),
        ("foo bar baz", "wdiw", "foo | baz"),
        ("f {\n  a\n}\n", "jdiB", "f {\n|}"),
        ("a\nb\n\nc", "dap", "|c"),
        ("a,b,c", "df,", "|b,c"),
        ("a,b,c", "dt,", "|,b,c"),
        ("abc", "x", "|bc"),
        ("abc", "$x", "a|b"),
        ("abc", "3x", "|"),
        ("abc", "$X", "a|c"),
        ("abc", "xp", "b|ac"),
        ("foo", "yypx", "foo\n|oo"),
        ("foo bar", "yw$p", "foo barfoo| "),
        ("a\nb", "yyjP", "a\n|a\nb"),
        ("foo bar", "ywwPP", "foo foofoo|  bar"),
        ("a\nb\nc", "yj2p", "a\n|a\nb\na\nb\nb\nc"),
        ("abc", "~~", "AB|c"),
        ("foo bar", "gUw", "|FOO bar"),
        ("Foo Bar", "g~~", "|fOO bAR"),
        ("FOO", "guiw", "|foo"),
        ("a\nb", ">>", "\t|a\nb"),
        ("a\nb", ">j", "\t|a\n\tb"),
        ("\t\ta", "<<", "\t|a"),
        ("a\n  b\nc", "J", "a| b\nc"),
        ("a\nb\nc", "3J", "a b| c"),
        ("a\n)", "J", "a|)"),
        ("abc", "rx", "|xbc"),
        ("abc", "2rx", "x|xc"),
        ("abc", "r<CR>", "\n|bc"),
        ("abc def", "wi<CR><Esc>", "abc \n|def"),
        ("abc", "Rxy<Esc>", "x|yc"),
        ("abc", "Rxy<BS><BS><Esc>", "|abc"),
        ("foo\nbar", "d/ar<CR>", "|ar"),
        ("a b c", "dwu", "|a b c"),
        ("a b c", "dwdwuu", "|a b c"),
        ("a b c", "dwdwuu<C-r>", "|b c"),
        ("a b c", "xxU", "|a b c"),
        ("a 9 b", "<C-a>", "a 1|0 b"),
        ("x-1", "5<C-a>", "x|4"),
        ("f(\nx\n)", "=G", "|f(\n\tx\n)"),
        ("ab", "yl3p", "aaa|ab"),
        ("foo", "dvl", "|o"),
        ("a\nb\nc", "\"add\"bdd\"ap", "c\n|a"),
        ("a\nb\nc", "\"addj\"Add\"ap", "b\n|a\nc"),
        ("1\n2\n3", "dddd\"1p\"2p", "3\n2\n|1"),
    ]);
}

#[test]
fn typing_does_what_fingers_expect() {
    check(&[
        ("b", "ia<Esc>", "|ab"),
        ("a", "ab<Esc>", "a|b"),
        ("  a", "Ix<Esc>", "  |xa"),
        ("a", "Abc<Esc>", "ab|c"),
        ("a", "ob<Esc>", "a\n|b"),
        ("a", "Ob<Esc>", "|b\na"),
        ("", "3ix<Esc>", "xx|x"),
        ("a", "2ob<Esc>", "a\nb\n|b"),
        ("", "ifoo bar<C-w>x<Esc>", "foo |x"),
        ("", "ifoo bar<C-u>x<Esc>", "|x"),
        ("ab", "A<BS><BS><BS>x<Esc>", "|x"),
        ("a\nb", "ji<BS><Esc>", "|ab"),
        ("a", "a<C-v>u00e9<Esc>", "a|é"),
        ("x", "ylA<C-r>\"<Esc>", "x|x"),
        ("  a", ":set ai<CR>ob<Esc>", "  a\n  |b"),
        ("  a", ":set ai<CR>o<Esc>", "  a\n|"),
        ("", ":set et sw=4 ts=4<CR>i<Tab>x<Esc>", "    |x"),
        ("abc", "a<Up>x<Esc>", "a|xbc"),
        ("a\nbc", "jA<Up>x<Esc>", "a|x\nbc"),
        ("foo foo", "cwbar<Esc>w.", "bar ba|r"),
        ("a b c d", "dw.", "|c d"),
        ("a\nb\nc", "Ax<Esc>j.j.", "ax\nbx\nc|x"),
        ("a", "ix<Esc>3.", "xx|xxa"),
        ("a b c d e", "dw2.", "|d e"),
        ("aaa", "x.", "|a"),
        ("1\n2\n3", "qaA!<Esc>jq2@a", "1!\n2!\n3|!"),
        ("1\n2\n3\n4", "qaA!<Esc>jq@a@@", "1!\n2!\n3!\n|4"),
        ("a b", "vey$p", "a ba |b"),
        ("foo bar", "ved", "| bar"),
        ("foo bar", "viwcx<Esc>", "|x bar"),
        ("a\nb\nc", "Vjd", "|c"),
        ("a\nb\nc", "Vj>", "\t|a\n\tb\nc"),
        ("foo bar", "veU", "|FOO bar"),
        ("foo bar", "yiwwviwp", "foo fo|o"),
        ("a\nb\nc", "VjJ", "a| b\nc"),
        ("a\nb\nc", "Vj:s/^/x/<CR>", "xa\n|xb\nc"),
        ("abcdef", "vlldu", "|abcdef"),
        ("abc\ndef", "v$yj", "abc\n|def"),
        ("abcdef", "vlld.", "|"),
        ("abcdef", "lvlohd", "|def"),
        ("abc", "vllrx", "|xxx"),
    ]);
}

#[test]
fn blocks_are_columns() {
    check(&[
        ("abc\ndef\nghi", "l<C-v>jd", "a|c\ndf\nghi"),
        ("abc\ndef", "<C-v>jI# <Esc>", "|# abc\n# def"),
        ("abc\nde\nfghi", "<C-v>jj$A;<Esc>", "|abc;\nde;\nfghi;"),
        ("abcd\na\nabcd", "ll<C-v>jjIX<Esc>", "ab|Xcd\na\nabXcd"),
        ("abc\ndef", "<C-v>jly$p", "abc|ab\ndefde"),
        ("abc\ndef", "l<C-v>jr-", "a|-c\nd-f"),
        ("abc\ndef", "<C-v>jlcX<Esc>", "|Xc\nXf"),
        ("abc\ndef", "<C-v>jlU", "|ABc\nDEf"),
        ("abc\ndef", "l<C-v>jDu", "a|bc\ndef"),
    ]);
}

#[test]
fn commands_change_lines() {
    check(&[
        ("a\nb\nc", ":2d<CR>", "a\n|c"),
        ("a\nb\nc", ":2,3d<CR>", "|a"),
        ("a\nb\nc", ":$<CR>", "a\nb\n|c"),
        ("a\nb\nc", ":1m$<CR>", "b\nc\n|a"),
        ("a\nb\nc", ":3m0<CR>", "|c\na\nb"),
        ("a\nb\nc", ":1t.<CR>", "a\n|a\nb\nc"),
        ("a\nb\nc", ":1,2j<CR>", "|a b\nc"),
        ("a\nb\nc", ":%s/b/x/<CR>", "a\n|x\nc"),
        ("aa\naa", ":%s/a/x/g<CR>", "xx\n|xx"),
        ("ab", ":s/\\(a\\)\\(b\\)/\\2\\1/<CR>", "|ba"),
        ("ab", ":s/a/&&/<CR>", "|aab"),
        ("foo bar", ":s/\\w\\+/\\u&/g<CR>", "|Foo Bar"),
        ("foo", ":s/.*/\\U&\\E!/<CR>", "|FOO!"),
        ("a,b", ":s/,/\\r/<CR>", "a\n|b"),
        ("a\nb\nc", ":%s/\\n/,/<CR>", "|a,b,c,"),
        ("a/b", ":s#/#-#<CR>", "|a-b"),
        ("Aa", ":s/a/x/i<CR>", "|xa"),
        ("aaa\naaa", ":s/a/x/<CR>j&", "xaa\n|xaa"),
        ("aaa\naaa", ":s/a/x/g<CR>j:&&<CR>", "xxx\n|xxx"),
        ("a\nb\na", ":g/a/d<CR>", "|b"),
        ("a\nb\na", ":v/a/d<CR>", "a\n|a"),
        ("1\n2\n3", ":g/^/m0<CR>", "|3\n2\n1"),
        ("a\nb", ":g/./normal Ax<CR>", "ax\nb|x"),
        ("a\nb\nc", ":g/b/-1j<CR>", "|a b\nc"),
        ("a b\nc d", ":%norm wD<CR>", "a \nc| "),
        ("a\nb", ":%norm! Ax<CR>", "ax\nb|x"),
        ("b\na\nc", ":sort<CR>", "|a\nb\nc"),
        ("b\na\nb", ":sort! u<CR>", "|b\na"),
        ("x10\nx9", ":sort n<CR>", "|x9\nx10"),
        ("a\nb\nc", ":2ka<CR>:'ad<CR>", "a\n|c"),
        ("a\nb\nc\nd", ":/b/,/c/d<CR>", "a\n|d"),
        ("a\nb\nc", ":2;+1d<CR>", "|a"),
        ("a\nb\nc", ":1y x<CR>:$put x<CR>", "a\nb\nc\n|a"),
        ("a", ":s/a/b/ | s/b/c/<CR>", "|c"),
        ("a|b", ":s/a|b/x/<CR>", "|x"),
        ("a\nb", ":>><CR>", "\t\t|a\nb"),
        ("aaa", ":s/a/b/c<CR>y", "|baa"),
        ("aaa", ":s/a/b/gc<CR>nyq", "ab|a"),
        ("a\nb\nc", "2:d<CR>", "|c"),
        ("a\tb", ":set et ts=4<CR>:retab<CR>", "|a   b"),
        ("b\na", ":%!sort<CR>", "|a\nb"),
        ("b\na", "!Gsort<CR>", "|a\nb"),
        ("a", ":r !echo x<CR>", "a\n|x"),
        ("ab", ":s/b*/x/g<CR>", "|xax"),
        ("baac", ":s/a*/X/g<CR>", "|XbXc"),
    ]);
}

#[test]
fn the_screen_is_that_of_vi() {
    let mut e = edited("one\ntwo\tx\n\x01\n", "");
    let s = e.screen();
    assert_eq!(s.rows[..4], ["one", "two     x", "^A", "~"].map(String::from));
    assert_eq!(s.rows[9], format!("{:22}1,1           All", ""));
    assert_eq!(s.cursor, (0, 0));
    let mut e = edited("one\ntwo\tx\n", "jfxlh");
    assert_eq!(e.screen().cursor, (1, 7));
    let mut e = edited(&"x".repeat(100), "$");
    let s = e.screen();
    assert_eq!((s.rows[2].len(), s.cursor), (20, (2, 19)));
    let mut e = edited("a", ":set nu list<CR>");
    assert_eq!(e.screen().rows[0], "  1 a$");
    let long: String = (1..=50).map(|n| format!("{n}\n")).collect();
    for (keys, top, line) in [
        ("<C-f>", 8, 8),
        ("<C-f><C-f>", 15, 15),
        ("G", 42, 50),
        ("20G", 16, 20),
        ("20Gzt", 20, 20),
        ("20Gzb", 12, 20),
        ("<C-d>", 5, 5),
        ("<C-d><C-u>", 1, 1),
        ("<C-e>", 2, 2),
        ("G<C-b>", 35, 43),
        ("9G", 1, 9),
        ("9Gj", 2, 10),
    ] {
        let mut e = edited(&long, keys);
        e.show_cursor();
        assert_eq!((e.view.top + 1, e.cursor.line + 1), (top, line), "{keys}");
    }
}

#[test]
fn what_cannot_be_done_says_so() {
    for (text, keys, message) in [
        ("a", "/zz<CR>", "E486: Pattern not found: zz"),
        ("a", ":foo<CR>", "E492: Not an editor command: foo"),
        ("a", ":9d<CR>", "E16: Invalid range"),
        ("a", ":s/zz/y/<CR>", "E486: Pattern not found: zz"),
        ("a", "'x", "E20: Mark not set"),
        ("a", ":w<CR>", "E32: No file name"),
        ("a", ":set foo<CR>", "E518: Unknown option: foo"),
        ("a", "u", "Already at oldest change"),
        ("a\nb\nc\nd", "3dd", "3 fewer lines"),
        ("a\nb\nc\nd", "3yy", "3 lines yanked"),
        ("a\na\na", ":%s/a/b/<CR>", "3 substitutions on 3 lines"),
        ("a\na\na", ":%s/a//n<CR>", "3 matches on 3 lines"),
    ] {
        let e = edited(text, keys);
        assert_eq!(e.message, message, "{keys}");
    }
}

#[test]
fn nothing_hangs_or_panics() {
    let mut seed = 1_u64;
    let keys: Vec<char> = "hjklwbeWBE0$^fFtT;,%{}()gGHMLnN*#'`mxXDCYSsrRJ~pPu.@qdcy><!=iaIAoOvVzZ:/?\x1b\x1b\x1b\r\r 123\x06\x02\x04\x15\x05\x19\x12\x17\"ab'|[]&_+-\t\x01\x18\x0f\x16"
        .chars()
        .collect();
    for round in 0..400 {
        let mut typed = String::new();
        for _ in 0..120 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            typed.push(keys[(seed >> 33) as usize % keys.len()]);
        }
        // Commands of the shell are no part of this.
        let typed =
            typed.replace('!', "").replace("ZZ", "").replace(":w", "").replace(":e", "").replace(":r", "");
        let mut e = edited("foo bar(baz)\n\n\tx é日本 \u{301}\n{ a }\n", &typed);
        let _ = e.screen();
        assert!(e.cursor.line < e.buf.len(), "{round}: {typed:?}");
        e.mode = Mode::Normal;
        e.clamp();
        let line = e.buf.line(e.cursor.line).to_vec();
        assert!(e.cursor.col <= line.len(), "{round}: {typed:?}");
        assert_eq!(text(&e).is_empty(), e.buf.void || text(&e).is_empty());
    }
    let _ = edited("a", ":norm A\r:marks\r.");
    let e = edited("abc", "100000000000000000l");
    assert_eq!(e.cursor, place(0, 2));
    let _ = edited("x", "qaq@a@a:let @a='@a'\r:norm @a\r");
}
