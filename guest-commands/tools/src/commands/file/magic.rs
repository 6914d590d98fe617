//! Binary formats by their first bytes: a table, and the few that tell more of themselves.

/// The number at `at`, little-endian unless `big`.
fn number(b: &[u8], at: usize, size: usize, big: bool) -> u64 {
    let Some(bytes) = b.get(at..at + size) else { return 0 };
    let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
    if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
}

/// What begins with these bytes: place, bytes, words, MIME type.
const TABLE: &[(usize, &[u8], &str, &str)] = &[
    (
        0,
        b"!<arch>\ndebian-binary",
        "Debian binary package (format 2.0)",
        "application/vnd.debian.binary-package",
    ),
    (0, b"!<arch>", "current ar archive", "application/x-archive"),
    (0, b"Rar!\x1a\x07\x01", "RAR archive data, v5", "application/x-rar"),
    (0, b"Rar!\x1a\x07\0", "RAR archive data", "application/x-rar"),
    (0, b"OggS", "Ogg data", "application/ogg"),
    (0, b"fLaC", "FLAC audio bitstream data", "audio/flac"),
    (0, b"wOFF", "Web Open Font Format", "font/woff"),
    (0, b"wOF2", "Web Open Font Format (Version 2)", "font/woff2"),
    (0, b"OTTO", "OpenType font data", "application/vnd.ms-opentype"),
    (0, b"\0\x01\0\0\0", "TrueType Font data", "font/sfnt"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Composite Document File V2 Document", "application/CDFV2"),
    (0, b"070701", "ASCII cpio archive (SVR4 with no CRC)", "application/x-cpio"),
    (0, b"\x04\x22\x4d\x18", "LZ4 compressed data (v1.4+)", "application/x-lz4"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska data", "video/x-matroska"),
    (0, b"II*\0", "TIFF image data, little-endian", "image/tiff"),
    (0, b"MM\0*", "TIFF image data, big-endian", "image/tiff"),
    (0, b"DIRC", "Git index", "application/octet-stream"),
    (0, b"# v2 git bundle", "Git bundle", "application/octet-stream"),
    (0, b"LZIP", "lzip compressed data", "application/x-lzip"),
];

/// What the bytes are, in words and as a MIME type; `None`: nothing that is known. `size`: that of the file.
pub(super) fn find(b: &[u8], size: Option<u64>) -> Option<(String, String)> {
    let is = |at: usize, what: &[u8]| b.get(at..).is_some_and(|rest| rest.starts_with(what));
    let found = |words: String, mime: &str| Some((words, mime.to_owned()));
    if is(0, b"\x7fELF") {
        return elf(b);
    }
    if is(0, b"\0asm") {
        let version = number(b, 4, 4, false);
        let words = format!("WebAssembly (wasm) binary module version {version:#x}");
        return found(if version == 1 { words + " (MVP)" } else { words }, "application/wasm");
    }
    if is(0, b"\x89PNG\r\n\x1a\n") && is(12, b"IHDR") {
        return found(png(b), "image/png");
    }
    if is(0, b"\xff\xd8\xff") {
        return found(jpeg(b), "image/jpeg");
    }
    if is(0, b"GIF8") {
        let version = String::from_utf8_lossy(b.get(3..6).unwrap_or(b"89a"));
        return found(
            format!(
                "GIF image data, version {version}, {} x {}",
                number(b, 6, 2, false),
                number(b, 8, 2, false)
            ),
            "image/gif",
        );
    }
    if is(0, b"RIFF") {
        return match b.get(8..12) {
            Some(b"WEBP") => found("RIFF (little-endian) data, Web/P image".into(), "image/webp"),
            Some(b"WAVE") => found("RIFF (little-endian) data, WAVE audio".into(), "audio/x-wav"),
            Some(b"AVI ") => found("RIFF (little-endian) data, AVI".into(), "video/x-msvideo"),
            _ => found("RIFF (little-endian) data".into(), "application/octet-stream"),
        };
    }
    if is(0, b"BM") && matches!(number(b, 14, 4, false), 40 | 108 | 124) && b.len() >= 26 {
        let kind = match number(b, 14, 4, false) {
            40 => "Windows 3.x format",
            108 => "Windows 95/NT4 and newer format",
            _ => "Windows 98/2000 and newer format",
        };
        let (width, height) = (number(b, 18, 4, false), number(b, 22, 4, false));
        let depth = number(b, 28, 2, false);
        let depth = if depth > 0 { format!(" x {depth}") } else { String::new() };
        return found(
            format!(
                "PC bitmap, {kind}, {width} x {height}{depth}, cbSize {}, bits offset {}",
                number(b, 2, 4, false),
                number(b, 10, 4, false)
            ),
            "image/bmp",
        );
    }
    if is(0, b"%PDF-") {
        let version: String = b[5..].iter().take(3).map(|c| char::from(*c)).collect();
        return found(format!("PDF document, version {version}"), "application/pdf");
    }
    if is(0, b"\x1f\x8b") {
        return found(gzip(b, size), "application/gzip");
    }
    if is(0, b"BZh") {
        return found(
            format!("bzip2 compressed data, block size = {}00k", b.get(3).map_or('9', |c| char::from(*c))),
            "application/x-bzip2",
        );
    }
    if is(0, b"\xfd7zXZ\0") {
        let check = match b.get(7).copied().unwrap_or(0) & 15 {
            0 => "NONE",
            1 => "CRC32",
            4 => "CRC64",
            10 => "SHA-256",
            _ => "unknown",
        };
        return found(format!("XZ compressed data, checksum {check}"), "application/x-xz");
    }
    if is(0, b"\x28\xb5\x2f\xfd") {
        let id = match b.get(4).copied().unwrap_or(0) & 3 {
            0 => "None".to_owned(),
            n => {
                let at = if b[4] & 0x20 != 0 { 5 } else { 6 };
                number(b, at, [0, 1, 2, 4][usize::from(n)], false).to_string()
            }
        };
        return found(format!("Zstandard compressed data (v0.8+), Dictionary ID: {id}"), "application/zstd");
    }
    if is(0, b"PK\x03\x04") && b.len() >= 30 {
        return zip(b);
    }
    if is(0, b"PK\x05\x06") {
        return found("Zip archive data (empty)".into(), "application/zip");
    }
    if is(0, b"7z\xbc\xaf\x27\x1c") {
        let version = format!("{}.{}", b.get(6).unwrap_or(&0), b.get(7).unwrap_or(&0));
        return found(format!("7-zip archive data, version {version}"), "application/x-7z-compressed");
    }
    if is(257, b"ustar  \0") {
        return found("POSIX tar archive (GNU)".into(), "application/x-tar");
    }
    if is(257, b"ustar\0") {
        return found("POSIX tar archive".into(), "application/x-tar");
    }
    if is(0, b"SQLite format 3\0") && b.len() >= 100 {
        return found(sqlite(b), "application/vnd.sqlite3");
    }
    if is(0, b"\xca\xfe\xba\xbe") {
        let (minor, major) = (number(b, 4, 2, true), number(b, 6, 2, true));
        let java = match major {
            45..=48 => format!(" (Java 1.{})", major - 44),
            49..=52 => format!(" (Java 1.{})", major - 44),
            53.. => format!(" (Java SE {})", major - 44),
            _ => String::new(),
        };
        return found(
            format!("compiled Java class data, version {major}.{minor}{java}"),
            "application/x-java-applet",
        );
    }
    if is(0, b"ID3") {
        let version = format!("2.{}.{}", b.get(3).unwrap_or(&0), b.get(4).unwrap_or(&0));
        return found(format!("Audio file with ID3 version {version}"), "audio/mpeg");
    }
    if is(4, b"ftyp") {
        let (words, mime) = match b.get(8..12) {
            Some(b"mp42") => ("MP4 v2 [ISO 14496-14]", "video/mp4"),
            Some(b"isom") => ("MP4 Base Media v1 [ISO 14496-12:2003]", "video/mp4"),
            Some(b"qt  ") => ("Apple QuickTime movie, Apple QuickTime (.MOV/QT)", "video/quicktime"),
            Some(b"avif") => ("AVIF Image", "image/avif"),
            _ => ("MP4", "video/mp4"),
        };
        return found(format!("ISO Media, {words}"), mime);
    }
    if is(0, b"MZ") && b.len() >= 64 {
        let at = number(b, 60, 4, false) as usize;
        if is(at, b"PE\0\0") {
            let plus = number(b, at + 24, 2, false) == 0x20b;
            let kind = if plus { "PE32+" } else { "PE32" };
            let dll = if number(b, at + 22, 2, false) & 0x2000 != 0 { " (DLL)" } else { "" };
            return found(
                format!("{kind} executable{dll}, for MS Windows"),
                "application/vnd.microsoft.portable-executable",
            );
        }
        return found("MS-DOS executable".into(), "application/x-dosexec");
    }
    let (_, _, words, mime) = TABLE.iter().find(|(at, what, _, _)| is(*at, what))?;
    found((*words).to_owned(), mime)
}

fn png(b: &[u8]) -> String {
    let kind = match b.get(25).copied().unwrap_or(0) {
        0 => " grayscale",
        2 => "/color RGB",
        3 => " colormap",
        4 => " gray+alpha",
        _ => "/color RGBA",
    };
    let laced = if b.get(28).copied().unwrap_or(0) == 0 { "non-interlaced" } else { "interlaced" };
    format!(
        "PNG image data, {} x {}, {}-bit{kind}, {laced}",
        number(b, 16, 4, true),
        number(b, 20, 4, true),
        b.get(24).copied().unwrap_or(0)
    )
}

fn jpeg(b: &[u8]) -> String {
    let mut words = String::from("JPEG image data");
    if b.get(6..11) == Some(b"JFIF\0") {
        let unit = match b.get(13) {
            Some(1) => "resolution (DPI)",
            Some(2) => "resolution (DPCM)",
            _ => "aspect ratio",
        };
        words += &format!(
            ", JFIF standard {}.{:02}, {unit}, density {}x{}, segment length {}",
            b.get(11).unwrap_or(&1),
            b.get(12).unwrap_or(&1),
            number(b, 14, 2, true),
            number(b, 16, 2, true),
            number(b, 4, 2, true)
        );
    }
    // The size is in the first segment that describes a frame.
    let mut at = 2;
    while at + 9 < b.len() && b[at] == 0xff {
        let marker = b[at + 1];
        if matches!(marker, 0xc0..=0xc3) {
            let kind = if marker == 0xc2 { "progressive" } else { "baseline" };
            words += &format!(
                ", {kind}, precision {}, {}x{}, components {}",
                b[at + 4],
                number(b, at + 7, 2, true),
                number(b, at + 5, 2, true),
                b[at + 9]
            );
            break;
        }
        at += 2 + (number(b, at + 2, 2, true) as usize).max(2);
    }
    words
}

fn gzip(b: &[u8], size: Option<u64>) -> String {
    let mut words = String::from("gzip compressed data");
    let flags = b.get(3).copied().unwrap_or(0);
    if flags & 8 != 0 {
        let mut at = 10;
        if flags & 4 != 0 {
            at += 2 + number(b, 10, 2, false) as usize;
        }
        let name = b.get(at..).unwrap_or(&[]);
        let end = name.iter().position(|c| *c == 0).unwrap_or(name.len());
        words += &format!(", was \"{}\"", String::from_utf8_lossy(&name[..end]));
    }
    let modified = number(b, 4, 4, false);
    if modified != 0 {
        words +=
            &format!(", last modified: {}", crate::time::format(modified.cast_signed(), 0, "%a %b %e %T %Y"));
    }
    match b.get(8) {
        Some(2) => words += ", max compression",
        Some(4) => words += ", max speed",
        _ => {}
    }
    match b.get(9) {
        Some(0) => words += ", from FAT filesystem (MS-DOS, OS/2, NT)",
        Some(3) => words += ", from Unix",
        Some(7) => words += ", from MacOS",
        Some(11) => words += ", from NTFS filesystem (NT)",
        _ => {}
    }
    // Only a file that was read whole shows its last bytes.
    if size.is_some_and(|s| s == b.len() as u64) && b.len() >= 18 {
        words += &format!(", original size modulo 2^32 {}", number(b, b.len() - 4, 4, false));
    }
    words
}

fn zip(b: &[u8]) -> Option<(String, String)> {
    let name_length = number(b, 26, 2, false) as usize;
    let name = b.get(30..30 + name_length).unwrap_or(&[]);
    let extra = number(b, 28, 2, false) as usize;
    let stored = b.get(30 + name_length + extra..).unwrap_or(&[]);
    let found = |words: &str, mime: &str| Some((words.to_owned(), mime.to_owned()));
    if name == b"mimetype" {
        if stored.starts_with(b"application/epub+zip") {
            return found("EPUB document", "application/epub+zip");
        }
        if stored.starts_with(b"application/vnd.oasis.opendocument.text") {
            return found("OpenDocument Text", "application/vnd.oasis.opendocument.text");
        }
    }
    if name.starts_with(b"[Content_Types].xml") || name.starts_with(b"_rels/") {
        let has = |part: &[u8]| b.windows(part.len()).any(|w| w == part);
        if has(b"word/") {
            return found(
                "Microsoft Word 2007+",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            );
        }
        if has(b"xl/") {
            return found(
                "Microsoft Excel 2007+",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            );
        }
        if has(b"ppt/") {
            return found(
                "Microsoft PowerPoint 2007+",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            );
        }
        return found("Microsoft OOXML", "application/octet-stream");
    }
    if name.starts_with(b"META-INF/") {
        return found("Java archive data (JAR)", "application/java-archive");
    }
    let version = number(b, 4, 2, false) & 0xff;
    let method = match number(b, 8, 2, false) {
        0 => "store",
        8 => "deflate",
        12 => "bzip2",
        14 => "lzma",
        93 => "zstd",
        _ => "unknown",
    };
    let words = format!(
        "Zip archive data, at least v{}.{} to extract, compression method={method}",
        version / 10,
        version % 10
    );
    found(&words, "application/zip")
}

fn sqlite(b: &[u8]) -> String {
    let n = |at| number(b, at, 4, true);
    let encoding = match n(56) {
        2 => "UTF-16 little endian",
        3 => "UTF-16 big endian",
        _ => "UTF-8",
    };
    let user = if n(60) == 0 { String::new() } else { format!(", user version {}", n(60)) };
    format!(
        "SQLite 3.x database{user}, last written using SQLite version {}, file counter {}, database pages {}, cookie {:#x}, schema {}, {encoding}, version-valid-for {}",
        n(96),
        n(24),
        n(28),
        n(40),
        n(44),
        n(92)
    )
}

/// Program headers and sections that are looked at.
const MOST_HEADERS: usize = 256;

fn elf(b: &[u8]) -> Option<(String, String)> {
    let (wide, big) = (b.get(4) == Some(&2), b.get(5) == Some(&2));
    let n = |at: usize, size: usize| number(b, at, size, big);
    let word = if wide { 8 } else { 4 };
    let bits = if wide { "64-bit" } else { "32-bit" };
    let order = if big { "MSB" } else { "LSB" };
    let machine = match n(18, 2) {
        3 => "Intel 80386",
        8 => "MIPS",
        20 => "PowerPC or cisco 4500",
        21 => "64-bit PowerPC or cisco 7500",
        22 => "IBM S/390",
        40 => "ARM",
        62 => "x86-64",
        183 => "ARM aarch64",
        243 => "UCB RISC-V",
        _ => "unknown arch",
    };
    let (programs, sections) = if wide { (n(32, 8), n(40, 8)) } else { (n(28, 4), n(32, 4)) };
    let at = if wide { 54 } else { 42 };
    let (program_size, program_count) = (n(at, 2) as usize, n(at + 2, 2) as usize);
    let (section_size, section_count) = (n(at + 4, 2) as usize, n(at + 6, 2) as usize);
    let mut interpreter = None;
    let mut dynamic = false;
    let mut pie = false;
    let mut notes = Vec::new();
    let place = |base: u64, i: usize, size: usize| {
        usize::try_from(base).unwrap_or(usize::MAX).saturating_add(i * size)
    };
    for i in 0..program_count.min(MOST_HEADERS) {
        let h = place(programs, i, program_size);
        if h >= b.len() {
            break;
        }
        let (offset, length) = if wide { (n(h + 8, 8), n(h + 32, 8)) } else { (n(h + 4, 4), n(h + 16, 4)) };
        let (offset, length) = (offset as usize, length as usize);
        let body = b.get(offset..offset.saturating_add(length)).unwrap_or(&[]);
        match n(h, 4) {
            2 => {
                dynamic = true;
                // DT_FLAGS_1 with DF_1_PIE.
                pie |= body.chunks_exact(2 * word).any(|c| {
                    number(c, 0, word, big) == 0x6fff_fffb && number(c, word, word, big) & 0x0800_0000 != 0
                });
            }
            3 => {
                let end = body.iter().position(|c| *c == 0).unwrap_or(body.len());
                interpreter = Some(String::from_utf8_lossy(&body[..end]).into_owned());
            }
            4 => notes.push(body.to_vec()),
            _ => {}
        }
    }
    let mut words = format!("ELF {bits} {order} ");
    let (kind, mime) = match n(16, 2) {
        1 => ("relocatable", "application/x-object"),
        2 => ("executable", "application/x-executable"),
        3 if pie || interpreter.is_some() => ("pie executable", "application/x-pie-executable"),
        3 => ("shared object", "application/x-sharedlib"),
        4 => ("core file", "application/x-coredump"),
        _ => ("unknown type", "application/octet-stream"),
    };
    let abi = match b.get(7) {
        Some(0) => "SYSV",
        Some(3) => "GNU/Linux",
        Some(9) => "FreeBSD",
        _ => "unknown",
    };
    words += &format!("{kind}, {machine}, version {} ({abi})", n(20, 4));
    if n(16, 2) == 2 || n(16, 2) == 3 {
        if dynamic {
            words += if interpreter.is_some() || n(16, 2) == 3 {
                ", dynamically linked"
            } else {
                ", statically linked"
            };
        } else if program_count > 0 && programs > 0 {
            words += ", statically linked";
        }
    }
    if let Some(path) = interpreter {
        words += &format!(", interpreter {path}");
    }
    let mut system = String::new();
    for note in &notes {
        let mut at = 0;
        while at + 12 <= note.len() {
            let field = |k: usize| number(note, at + 4 * k, 4, big) as usize;
            let (name_size, size, kind) = (field(0), field(1), field(2));
            let name_at = at + 12;
            let body_at = name_at.saturating_add(name_size.next_multiple_of(4));
            let Some(body) = note.get(body_at..body_at.saturating_add(size)) else { break };
            if note.get(name_at..name_at + 4) == Some(b"GNU\0") {
                if kind == 3 {
                    let hex: String = body.iter().map(|b| format!("{b:02x}")).collect();
                    let digest = if size == 20 {
                        "sha1"
                    } else if size == 16 {
                        "md5/uuid"
                    } else {
                        "xxHash"
                    };
                    words += &format!(", BuildID[{digest}]={hex}");
                } else if kind == 1 && size >= 16 {
                    let v = |k: usize| number(body, 4 * k, 4, big);
                    system = format!(", for GNU/Linux {}.{}.{}", v(1), v(2), v(3));
                }
            }
            at = body_at.saturating_add(size.next_multiple_of(4));
        }
    }
    words += &system;
    let (mut symbols, mut debug) = (false, false);
    let names = place(sections, n(at + 8, 2) as usize, section_size);
    let names_at = if wide { n(names + 24, 8) } else { n(names + 16, 4) } as usize;
    for i in 0..section_count.min(MOST_HEADERS * 16) {
        let h = place(sections, i, section_size);
        if h >= b.len() {
            break;
        }
        symbols |= n(h + 4, 4) == 2;
        let name = b.get(names_at.saturating_add(n(h, 4) as usize)..).unwrap_or(&[]);
        debug |= name.starts_with(b".debug_info");
    }
    if section_count > 0 && n(16, 2) != 4 {
        if debug {
            words += ", with debug_info";
        }
        words += if symbols { ", not stripped" } else { ", stripped" };
    }
    Some((words, mime.to_owned()))
}
