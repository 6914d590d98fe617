//! Answers of several parts (RFC 4918, 13): what a server tells of a resource and of the names in it. Only the four
//! properties that are asked for are read. Namespaces count, prefixes do not.

use opendal::raw::Timestamp;
use opendal::{Metadata, MetadataBuilder};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

/// Asks for what [`parse`] reads. Not for all there is: servers compute some of it at a price.
pub(super) const PROPERTIES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:propfind xmlns:D=\"DAV:\"><D:prop>\
    <D:resourcetype/><D:getcontentlength/><D:getlastmodified/><D:getetag/></D:prop></D:propfind>";

/// The most parts that are taken; each is larger here than it need be in the answer.
const PARTS: usize = 1 << 20;
/// The longest entity tag that is taken for one.
const TAG: usize = 1024;

/// What is said of one resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Its address or path, as the server wrote it.
    pub(super) href: String,
    /// The status of it as a whole, where the server tells one.
    pub(super) status: Option<u16>,
    pub(super) properties: Option<Properties>,
}

/// What a server has of the properties that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) collection: bool,
    length: String,
    modified: String,
    tag: String,
}

impl Properties {
    /// `None` when the size of a file is not told, without which it cannot be read.
    pub(super) fn metadata(&self) -> Option<Metadata> {
        let mut metadata = if self.collection {
            MetadataBuilder::dir()
        } else {
            MetadataBuilder::file(self.length.parse().ok()?)
        };
        if let Ok(modified) = Timestamp::parse_rfc2822(&self.modified) {
            metadata.last_modified(modified);
        }
        if let Some(tag) = quoted(&self.tag) {
            metadata.etag(tag);
        }
        Some(metadata.build())
    }
}

/// An entity tag as in a header: some servers leave the quotes out (WsgiDAV).
pub(super) fn quoted(tag: &str) -> Option<String> {
    let bare = tag.strip_prefix("W/").unwrap_or(tag);
    let good = !tag.is_empty() && tag.len() <= TAG && bare.bytes().all(|byte| byte.is_ascii_graphic());
    match bare.strip_prefix('"').and_then(|bare| bare.strip_suffix('"')) {
        Some(inner) => (good && !inner.contains('"')).then(|| tag.to_owned()),
        None => (good && !bare.contains('"')).then(|| format!("\"{tag}\"")),
    }
}

/// `HTTP/1.1 404 Not Found`: its number.
fn code(line: &str) -> Option<u16> {
    line.split_whitespace().nth(1)?.parse().ok()
}

#[derive(Default)]
struct Parser {
    parts: Vec<Part>,
    part: Option<Part>,
    /// The properties of one status, and that status.
    group: Option<(Properties, Option<u16>)>,
    text: String,
    /// All of it was there.
    whole: bool,
}

/// The parts of an answer. `None` when it is no such answer, not all of one, or one of more parts than are taken.
pub(super) fn parse(xml: &str) -> Option<Vec<Part>> {
    let mut reader = NsReader::from_str(xml);
    let mut parser = Parser::default();
    while parser.parts.len() <= PARTS {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let dav = matches!(namespace, ResolveResult::Bound(Namespace("DAV:")));
        match event {
            Event::Start(start) if dav => parser.start(&start),
            Event::Empty(empty) if dav => {
                parser.start(&empty);
                parser.end(empty.local_name().as_ref());
            }
            Event::Start(_) | Event::Empty(_) => parser.text.clear(),
            Event::End(end) if dav => parser.end(end.local_name().as_ref()),
            Event::Text(text) => parser.text.push_str(&text),
            Event::CData(text) => parser.text.push_str(&text),
            Event::GeneralRef(entity) => match entity.resolve_char_ref().ok()? {
                Some(char) => parser.text.push(char),
                None => parser.text.push_str(quick_xml::escape::resolve_predefined_entity(&entity)?),
            },
            Event::Eof => return parser.whole.then_some(parser.parts),
            _ => {}
        }
    }
    None
}

impl Parser {
    fn start(&mut self, start: &BytesStart<'_>) {
        self.text.clear();
        match start.local_name().as_ref() {
            "response" => self.part = Some(Part::default()),
            "propstat" => self.group = Some(Default::default()),
            "collection" => {
                if let Some((properties, _)) = &mut self.group {
                    properties.collection = true;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        let text = self.text.trim();
        match (name, &mut self.group, &mut self.part) {
            ("getcontentlength", Some((properties, _)), _) => text.clone_into(&mut properties.length),
            ("getlastmodified", Some((properties, _)), _) => text.clone_into(&mut properties.modified),
            ("getetag", Some((properties, _)), _) => text.clone_into(&mut properties.tag),
            ("status", Some((_, status)), _) => *status = code(text),
            ("propstat", group, part) => {
                // Those that the server has; others come with 404.
                if let (Some((properties, Some(200..=299))), Some(part)) = (group.take(), part) {
                    part.properties = Some(properties);
                }
            }
            ("status", None, Some(part)) => part.status = code(text),
            ("href", None, Some(part)) if part.href.is_empty() => text.clone_into(&mut part.href),
            ("response", ..) => self.parts.extend(self.part.take()),
            ("multistatus", ..) => self.whole = true,
            _ => {}
        }
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(xml: &str) -> Part {
        let mut parts = parse(xml).unwrap();
        assert_eq!(parts.len(), 1, "{parts:?}");
        parts.remove(0)
    }

    #[test]
    fn a_file_and_a_directory_of_several_servers() {
        let wsgidav = "<?xml version='1.0' encoding='UTF-8'?>\n<ns0:multistatus xmlns:ns0=\"DAV:\"><ns0:response>\
            <ns0:href>/a%20b&amp;c&#x21;</ns0:href><ns0:propstat><ns0:prop><ns0:resourcetype />\
            <ns0:getcontentlength>12</ns0:getcontentlength><ns0:getlastmodified>Fri, 27 Nov 2026 08:00:01 GMT\
            </ns0:getlastmodified><ns0:getetag>7-1-12</ns0:getetag></ns0:prop><ns0:status>HTTP/1.1 200 OK</ns0:status>\
            </ns0:propstat></ns0:response></ns0:multistatus>";
        let part = one(wsgidav);
        assert_eq!(part.href, "/a%20b&c!");
        let metadata = part.properties.unwrap().metadata().unwrap();
        assert_eq!((metadata.content_length(), metadata.etag()), (12, Some("\"7-1-12\"")));
        assert!(metadata.is_file() && metadata.last_modified().is_some());

        let missing_first = "<multistatus xmlns=\"DAV:\" xmlns:x=\"urn:x\"><response><href><![CDATA[http://h/d/]]></href>\
            <propstat><prop><getcontentlength/><getetag/></prop><status>HTTP/1.1 404 Not Found</status></propstat>\
            <propstat><prop><resourcetype><collection/><x:collection/></resourcetype><x:getetag>no</x:getetag></prop>\
            <status>HTTP/1.1 200 OK</status></propstat></response></multistatus>";
        let part = one(missing_first);
        assert_eq!(part.href, "http://h/d/");
        let metadata = part.properties.unwrap().metadata().unwrap();
        assert!(metadata.is_dir() && metadata.etag().is_none() && metadata.last_modified().is_none());
    }

    #[test]
    fn what_failed_has_a_status() {
        let xml = "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/d/f</D:href><D:status>HTTP/1.1 423 Locked\
            </D:status></D:response></D:multistatus>";
        assert_eq!(one(xml), Part { href: "/d/f".into(), status: Some(423), properties: None });
    }

    #[test]
    fn what_is_no_answer_or_not_all_of_one_is_none() {
        for xml in [
            "",
            "<html><body>Index</body></html>",
            "<multistatus><response/></multistatus>",
            "<D:multistatus xmlns:D=\"DAV:\"><D:response>",
            "<D:multistatus xmlns:D=\"DAV:\"></D:response>",
            "<!DOCTYPE x [<!ENTITY y \"z\">]><D:multistatus xmlns:D=\"DAV:\"><D:href>&y;</D:href></D:multistatus>",
        ] {
            assert_eq!(parse(xml), None, "{xml}");
        }
        assert_eq!(parse("<multistatus xmlns=\"DAV:\"/>"), Some(vec![]));
        let many =
            |parts| format!("<multistatus xmlns=\"DAV:\">{}</multistatus>", "<response/>".repeat(parts));
        assert_eq!(parse(&many(PARTS)).map(|parts| parts.len()), Some(PARTS));
        assert_eq!(parse(&many(PARTS + 1)), None);
    }

    #[test]
    fn a_file_without_a_size_is_none_of_ours() {
        assert!(Properties::default().metadata().is_none());
        assert!(Properties { length: "-1".into(), ..Properties::default() }.metadata().is_none());
    }

    #[test]
    fn tags_are_as_in_headers() {
        for (tag, as_header) in [
            ("\"a\"", Some("\"a\"")),
            ("W/\"a\"", Some("W/\"a\"")),
            ("a", Some("\"a\"")),
            ("", None),
            ("\"a", None),
            ("a\"b", None),
            ("\"a b\"", None),
            ("ü", None),
        ] {
            assert_eq!(quoted(tag).as_deref(), as_header, "{tag}");
        }
        assert_eq!(quoted(&"x".repeat(TAG + 1)), None);
    }
}
