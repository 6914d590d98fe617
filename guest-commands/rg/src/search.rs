//! Searches the files and prints what is found.

use crate::io_text;
use crate::options::{Binary, Case, Mode, Options};
use crate::walk::{Files, Found, types};
use grep_matcher::LineTerminator;
use grep_printer::{
    ColorSpecs, JSON, JSONBuilder, Standard, StandardBuilder, Stats, Summary, SummaryBuilder, SummaryKind,
    UserColorSpec, default_color_specs,
};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Encoding, Searcher, SearcherBuilder};
use std::io::{self, BufWriter, Read as _, Write};
use std::time::Instant;
use termcolor::{Ansi, NoColor, WriteColor};

/// The largest file that is read as a whole.
const AT_ONCE: u64 = 16 << 20;

/// Standard output, unbuffered.
struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        agentos_guest::fd::write(1, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Searches; the result is the exit status.
pub(crate) fn run(options: Options) -> Result<i32, String> {
    if options.mode == Mode::TypeList {
        return type_list(&options);
    }
    let terminal = agentos_guest::fd::isatty(1);
    let out = BufWriter::with_capacity(32 * 1024, Out);
    let terminal_colors =
        std::env::var_os("TERM").is_some_and(|term| term != "dumb") && std::env::var_os("NO_COLOR").is_none();
    if options.color.unwrap_or((terminal || options.pretty) && terminal_colors) {
        go(&options, terminal, Ansi::new(out))
    } else {
        go(&options, terminal, NoColor::new(out))
    }
}

fn type_list(options: &Options) -> Result<i32, String> {
    let types = types(options, false)?;
    let mut text = String::new();
    for def in types.definitions() {
        text += &format!("{}: {}\n", def.name(), def.globs().join(", "));
    }
    agentos_guest::fd::write_all(1, text.as_bytes()).map_err(|e| io_text(&e).to_string())?;
    Ok(0)
}

fn colors(options: &Options) -> Result<ColorSpecs, String> {
    let mut specs: Vec<UserColorSpec> = default_color_specs();
    for spec in &options.colors {
        specs.push(spec.parse().map_err(|e: grep_printer::ColorError| e.to_string())?);
    }
    Ok(ColorSpecs::new(&specs))
}

fn matcher(options: &Options) -> Result<RegexMatcher, String> {
    let mut builder = RegexMatcherBuilder::new();
    builder
        .multi_line(true)
        .unicode(options.unicode)
        .octal(false)
        .fixed_strings(options.fixed)
        .word(options.word && !options.line)
        .whole_line(options.line)
        .case_insensitive(options.case == Case::Insensitive)
        .case_smart(options.case == Case::Smart);
    if options.multiline {
        builder.dot_matches_new_line(options.multiline_dotall);
        if options.crlf {
            builder.crlf(true).line_terminator(None);
        }
    } else {
        builder.line_terminator(Some(b'\n'));
        if options.crlf {
            builder.crlf(true);
        }
        if options.null_data {
            builder.line_terminator(Some(0));
        }
    }
    if let Some(limit) = options.size_limit {
        builder.size_limit(limit);
    }
    if let Some(limit) = options.dfa_size_limit {
        builder.dfa_size_limit(limit);
    }
    builder.build_many(&options.patterns).map_err(|e| {
        let text = e.to_string();
        if !options.multiline && text.contains("\"\\n\"") && text.contains("not allowed") {
            return format!(
                "{text}\n\nConsider enabling multiline mode with the --multiline flag (or -U for short).\nWhen multiline mode is enabled, new line characters can be matched."
            );
        }
        text.to_string()
    })
}

fn searcher(options: &Options, line_number: bool) -> Result<Searcher, String> {
    let mut builder = SearcherBuilder::new();
    let ends = if options.crlf {
        LineTerminator::crlf()
    } else if options.null_data {
        LineTerminator::byte(0)
    } else {
        LineTerminator::byte(b'\n')
    };
    builder
        .line_terminator(ends)
        .invert_match(options.invert)
        .line_number(line_number)
        .multi_line(options.multiline)
        .before_context(options.before)
        .after_context(options.after)
        .passthru(options.passthru)
        .stop_on_nonmatch(options.stop_on_nonmatch)
        .max_matches(options.max_count)
        .bom_sniffing(options.encoding.as_deref() != Some("none"));
    if let Some(name) = options.encoding.as_deref().filter(|n| *n != "none") {
        let encoding = Encoding::new(name).map_err(|e| e.to_string())?;
        builder.encoding(Some(encoding));
    }
    Ok(builder.build())
}

enum Printer<W: WriteColor> {
    Standard(Standard<W>),
    Summary(Summary<W>),
    Json(JSON<W>),
}

impl<W: WriteColor> Printer<W> {
    fn out(&mut self) -> &mut W {
        match self {
            Printer::Standard(p) => p.get_mut(),
            Printer::Summary(p) => p.get_mut(),
            Printer::Json(p) => p.get_mut(),
        }
    }

    fn search(
        &mut self,
        matcher: &RegexMatcher,
        searcher: &mut Searcher,
        file: &Found,
        stdin_head: &mut Vec<u8>,
    ) -> io::Result<(bool, Option<Stats>)> {
        macro_rules! with {
            ($sink:expr) => {{
                let mut sink = $sink;
                if file.stdin {
                    let head = std::mem::take(stdin_head);
                    searcher.search_reader(matcher, io::Cursor::new(head).chain(Input), &mut sink)?;
                } else {
                    let mut input = std::fs::File::open(&file.path)?;
                    // What is binary is known before the first match only where all of a file is at hand, which is
                    // what ripgrep does with files that are named.
                    let small = file.explicit && input.metadata()?.is_file() && input.metadata()?.len() <= AT_ONCE;
                    if small {
                        let mut bytes = Vec::new();
                        io::Read::read_to_end(&mut input, &mut bytes)?;
                        searcher.search_slice(matcher, &bytes, &mut sink)?;
                    } else {
                        searcher.search_file(matcher, &input, &mut sink)?;
                    }
                }
                sink
            }};
        }
        match self {
            Printer::Standard(p) => {
                let sink = with!(p.sink_with_path(matcher, &file.path));
                Ok((sink.has_match(), sink.stats().cloned()))
            }
            Printer::Summary(p) => {
                let sink = with!(p.sink_with_path(matcher, &file.path));
                Ok((sink.has_match(), sink.stats().cloned()))
            }
            Printer::Json(p) => {
                let sink = with!(p.sink_with_path(matcher, &file.path));
                Ok((sink.has_match(), Some(sink.stats().clone())))
            }
        }
    }
}

/// Standard input, unbuffered.
struct Input;

impl io::Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        agentos_guest::fd::read(0, buffer)
    }
}

fn printer<W: WriteColor>(
    options: &Options,
    terminal: bool,
    names: bool,
    out: W,
) -> Result<Printer<W>, String> {
    let colors = colors(options)?;
    let kind = match options.mode {
        Mode::Json => {
            let mut builder = JSONBuilder::new();
            builder.replacement(options.replace.as_ref().map(|r| r.as_bytes().to_vec()));
            return Ok(Printer::Json(builder.build(out)));
        }
        _ if options.quiet => SummaryKind::QuietWithMatch,
        Mode::Count if options.only_matching && !options.invert => SummaryKind::CountMatches,
        Mode::CountMatches if options.invert => SummaryKind::Count,
        Mode::Count => SummaryKind::Count,
        Mode::CountMatches => SummaryKind::CountMatches,
        Mode::FilesWithMatches => SummaryKind::PathWithMatch,
        Mode::FilesWithoutMatch => SummaryKind::PathWithoutMatch,
        _ => return Ok(Printer::Standard(standard(options, terminal, names, colors).build(out))),
    };
    let mut builder = SummaryBuilder::new();
    builder
        .kind(kind)
        .color_specs(colors)
        .stats(options.stats)
        .path(names)
        .exclude_zero(!options.include_zero)
        .separator_field(b":".to_vec())
        .separator_path(options.path_separator)
        .path_terminator(options.null.then_some(0));
    Ok(Printer::Summary(builder.build(out)))
}

fn standard(options: &Options, terminal: bool, names: bool, colors: ColorSpecs) -> StandardBuilder {
    let mut builder = StandardBuilder::new();
    let heading = !options.vimgrep && options.heading.unwrap_or(terminal);
    let separator = if heading {
        Some(Vec::new())
    } else if options.before > 0 || options.after > 0 {
        options.context_separator.clone()
    } else {
        None
    };
    builder
        .color_specs(colors)
        .stats(options.stats)
        .heading(heading)
        .path(names)
        .only_matching(options.only_matching)
        .per_match(options.vimgrep)
        .per_match_one_line(true)
        .replacement(options.replace.as_ref().map(|r| r.as_bytes().to_vec()))
        .max_columns(options.max_columns)
        .max_columns_preview(options.max_columns_preview)
        .column(options.column.unwrap_or(options.vimgrep))
        .byte_offset(options.byte_offset)
        .trim_ascii(options.trim)
        .separator_search(separator)
        .separator_context(options.context_separator.clone())
        .separator_field_match(options.field_match_separator.clone())
        .separator_field_context(options.field_context_separator.clone())
        .separator_path(options.path_separator)
        .path_terminator(options.null.then_some(0));
    builder
}

fn go<W: WriteColor>(options: &Options, terminal: bool, out: W) -> Result<i32, String> {
    let started = Instant::now();
    let only_stdin = options.paths.len() == 1 && options.paths[0].as_os_str() == "-";
    let names = options.with_filename.unwrap_or_else(|| {
        options.vimgrep
            || options.paths.len() > 1
            || (!only_stdin && options.paths.first().is_some_and(|p| p.is_dir()))
    });
    let line_number = match options.mode {
        Mode::Json => true,
        _ => options.line_number.unwrap_or_else(|| {
            options.column == Some(true)
                || options.vimgrep
                || (terminal && !(only_stdin && options.with_filename != Some(true)))
        }),
    };
    if options.mode == Mode::Files {
        return files(options, out);
    }
    let matcher = matcher(options)?;
    let mut searcher = searcher(options, line_number)?;
    let mut printer = printer(options, terminal, names, out)?;
    let mut files = Files::new(options)?;
    let mut totals = Stats::new();
    let mut stdin_head = options.stdin_head.clone();
    let (mut matched, mut searched, mut failed) = (false, false, false);
    // No match can be found in nothing, and all limits are reached at once.
    let hopeless = options.max_count == Some(0) || options.patterns.is_empty();
    while !hopeless && let Some(file) = files.next() {
        searched = true;
        searcher.set_binary_detection(match options.binary {
            _ if options.null_data => BinaryDetection::none(),
            Binary::Text => BinaryDetection::none(),
            Binary::Auto if !file.explicit => BinaryDetection::quit(0),
            _ => BinaryDetection::convert(0),
        });
        if options.debug {
            eprintln!("DEBUG|rg|searching {}", file.path.display());
        }
        match printer.search(&matcher, &mut searcher, &file, &mut stdin_head) {
            Ok((found, stats)) => {
                matched |= found;
                if let Some(stats) = stats {
                    totals += &stats;
                }
                if options.quiet && matched && !options.stats {
                    break;
                }
            }
            Err(e) if agentos_guest::errno_of(&e) == Some(agentos_guest::Errno::EPIPE) => return Ok(0),
            Err(e) => {
                failed = true;
                if !options.no_messages {
                    // What was found before comes before it.
                    let _ = printer.out().flush();
                    eprintln!("{}: {}", file.path.display(), io_text(&e));
                }
            }
        }
        if terminal {
            let _ = printer.out().flush();
        }
    }
    failed |= files.failed;
    if options.mode == Mode::Json || options.stats {
        figures(options, printer.out(), &totals, started).map_err(|e| io_text(&e).to_string())?;
    }
    if let Err(e) = printer.out().flush() {
        if agentos_guest::errno_of(&e) == Some(agentos_guest::Errno::EPIPE) {
            return Ok(0);
        }
        return Err(io_text(&e).to_string());
    }
    if options.default_path && !searched && !hopeless && !failed {
        failed = true;
    }
    if options.default_path && !searched && !hopeless && !options.no_messages && !files.failed {
        eprintln!(
            "No files were searched, which means ripgrep probably applied a filter you didn't expect.\nRunning with --debug will show why files are being skipped."
        );
    }
    Ok(if matched && (options.quiet || !failed) {
        0
    } else if failed {
        2
    } else {
        1
    })
}

fn files<W: WriteColor>(options: &Options, mut out: W) -> Result<i32, String> {
    let colors = colors(options)?;
    let mut files = Files::new(options)?;
    let mut found = false;
    for file in files.by_ref() {
        found = true;
        if options.quiet {
            break;
        }
        let mut bytes = file.path.as_os_str().as_encoded_bytes().to_vec();
        if let Some(separator) = options.path_separator {
            bytes.iter_mut().filter(|b| **b == b'/').for_each(|b| *b = separator);
        }
        let written = out
            .set_color(colors.path())
            .and_then(|()| out.write_all(&bytes))
            .and_then(|()| out.reset())
            .and_then(|()| out.write_all(if options.null { b"\0" } else { b"\n" }));
        if written.is_err() {
            return Ok(0);
        }
    }
    // Only a closed pipe can be the reason, and then nobody is there to be told.
    let _ = out.flush();
    Ok(if files.failed { 2 } else { i32::from(!found) })
}

/// What `--stats` and the last line of `--json` say.
fn figures<W: WriteColor>(options: &Options, out: &mut W, stats: &Stats, started: Instant) -> io::Result<()> {
    let total = started.elapsed();
    if options.mode == Mode::Json {
        let time = |d: std::time::Duration| {
            format!(
                "{{\"human\":\"{:.6}s\",\"nanos\":{},\"secs\":{}}}",
                d.as_secs_f64(),
                d.subsec_nanos(),
                d.as_secs()
            )
        };
        return writeln!(
            out,
            "{{\"data\":{{\"elapsed_total\":{},\"stats\":{{\"bytes_printed\":{},\"bytes_searched\":{},\"elapsed\":{},\"matched_lines\":{},\"matches\":{},\"searches\":{},\"searches_with_match\":{}}}}},\"type\":\"summary\"}}",
            time(total),
            stats.bytes_printed(),
            stats.bytes_searched(),
            time(stats.elapsed()),
            stats.matched_lines(),
            stats.matches(),
            stats.searches(),
            stats.searches_with_match()
        );
    }
    write!(
        out,
        "\n{} matches\n{} matched lines\n{} files contained matches\n{} files searched\n{} bytes printed\n{} bytes searched\n{:.6} seconds spent searching\n{:.6} seconds\n",
        stats.matches(),
        stats.matched_lines(),
        stats.searches_with_match(),
        stats.searches(),
        stats.bytes_printed(),
        stats.bytes_searched(),
        stats.elapsed().as_secs_f64(),
        total.as_secs_f64()
    )
}
