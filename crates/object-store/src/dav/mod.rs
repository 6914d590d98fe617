//! WebDAV (RFC 4918) as a service of opendal, whose own takes a wrong password for any failure, asks for every parent directory
//! before each write, knows no conditions and no errors of several parts. It takes no locks, and reads no properties but
//! those of a file.

mod multistatus;
mod request;

use std::fmt;
use std::sync::Arc;

use agentos_vfs::NAME_MAX;
use http::header::{CONTENT_RANGE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, StatusCode};
use opendal::raw::*;
use opendal::{
    Buffer, Builder, BytesRange, Capability, Error, ErrorKind, HttpBody, Metadata, MetadataBuilder,
    OperationContext, Operator, Result,
};

use multistatus::Part;
use request::{Server, drain, refused};

#[derive(Clone, Default)]
pub(crate) struct Dav(Arc<Server>);

impl fmt::Debug for Dav {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dav").finish_non_exhaustive()
    }
}

/// An operator over a server. `authorization` is the header of that name.
pub(crate) fn operator(endpoint: &str, root: &str, authorization: Option<&str>) -> Result<Operator> {
    let wrong = |_| Error::new(ErrorKind::ConfigInvalid, "the login cannot be a header");
    let authorization = authorization.map(HeaderValue::from_str).transpose().map_err(wrong)?;
    let server = Server::new(endpoint, root, authorization)
        .ok_or_else(|| Error::new(ErrorKind::ConfigInvalid, "the path of the address is no text"))?;
    Operator::new(Dav(Arc::new(server)))
}

impl Builder for Dav {
    type Config = ();

    fn build(self) -> Result<impl Service> {
        Ok(self)
    }
}

/// A request for one path.
pub(crate) struct Call<A> {
    server: Arc<Server>,
    context: OperationContext,
    path: String,
    args: A,
}

impl Dav {
    fn call<A>(&self, context: &OperationContext, path: &str, args: A) -> Call<A> {
        Call { server: self.0.clone(), context: context.clone(), path: path.to_owned(), args }
    }
}

fn unexpected(message: &'static str) -> Error {
    Error::new(ErrorKind::Unexpected, message)
}

/// What the server tells of the path that was asked for.
async fn look(server: &Server, context: &OperationContext, path: &str) -> Result<Metadata> {
    let parts = server.properties(context, path, false).await?;
    let part = parts.into_iter().next().ok_or_else(|| unexpected("the server tells nothing"))?;
    match (part.properties, part.status.and_then(|status| StatusCode::from_u16(status).ok())) {
        (Some(properties), _) => properties.metadata().ok_or_else(|| unexpected("the server tells no size")),
        (None, Some(status)) => Err(refused(status)),
        (None, None) => Err(unexpected("the server tells no properties")),
    }
}

impl Service for Dav {
    type Reader = oio::StreamReader<Call<OpRead>>;
    type Writer = oio::OneShotWriter<Call<OpWrite>>;
    type Lister = oio::PageLister<Call<()>>;
    type Deleter = oio::OneShotDeleter<Call<()>>;
    type Copier = ();
    type Composer = ();

    fn info(&self) -> ServiceInfo {
        ServiceInfo::with_scheme("webdav")
    }

    fn capability(&self) -> Capability {
        Capability {
            stat: true,
            read: true,
            read_with_if_match: true,
            write: true,
            write_can_empty: true,
            write_with_if_match: true,
            write_with_if_not_exists: true,
            create_dir: true,
            delete: true,
            rename: true,
            list: true,
            shared: true,
            ..Capability::default()
        }
    }

    /// AlreadyExists for what is there, of whatever kind.
    async fn create_dir(
        &self,
        context: &OperationContext,
        path: &str,
        _: OpCreateDir,
    ) -> Result<RpCreateDir> {
        let (status, _) = self.0.ask(context, "MKCOL", path, &[], Buffer::new()).await?;
        match status {
            StatusCode::METHOD_NOT_ALLOWED => Err(Error::new(ErrorKind::AlreadyExists, "it is there")),
            status if status.is_success() => Ok(RpCreateDir::default()),
            status => Err(refused(status)),
        }
    }

    async fn stat(&self, context: &OperationContext, path: &str, _: OpStat) -> Result<RpStat> {
        Ok(RpStat::new(look(&self.0, context, path).await?))
    }

    fn read(&self, context: &OperationContext, path: &str, args: OpRead) -> Result<Self::Reader> {
        Ok(oio::StreamReader::new(self.call(context, path, args)))
    }

    fn write(&self, context: &OperationContext, path: &str, args: OpWrite) -> Result<Self::Writer> {
        Ok(oio::OneShotWriter::new(self.call(context, path, args)))
    }

    fn delete(&self, context: &OperationContext) -> Result<Self::Deleter> {
        Ok(oio::OneShotDeleter::new(self.call(context, "", ())))
    }

    fn list(&self, context: &OperationContext, path: &str, _: OpList) -> Result<Self::Lister> {
        Ok(oio::PageLister::new(self.call(context, path, ())))
    }

    fn copy(&self, _: &OperationContext, _: &str, _: &str, _: OpCopy) -> Result<Self::Copier> {
        Err(Error::new(ErrorKind::Unsupported, "what is copied goes by way of this host"))
    }

    /// Replaces what is there. Directories too, whose addresses end with a `/`: some servers insist on it.
    async fn rename(
        &self,
        context: &OperationContext,
        from: &str,
        to: &str,
        _: OpRename,
    ) -> Result<RpRename> {
        let end = if look(&self.0, context, from).await?.is_dir() { "/" } else { "" };
        let (from, to) = (format!("{from}{end}"), self.0.address(&format!("{to}{end}")));
        let headers = [
            (HeaderName::from_static("destination"), to.as_str()),
            (HeaderName::from_static("overwrite"), "T"),
        ];
        let (status, _) = self.0.ask(context, "MOVE", &from, &headers, Buffer::new()).await?;
        if status.is_success() { Ok(RpRename::default()) } else { Err(refused(status)) }
    }

    async fn presign(&self, _: &OperationContext, _: &str, _: OpPresign) -> Result<RpPresign> {
        Err(Error::new(ErrorKind::Unsupported, "there are no signed addresses"))
    }
}

/// The wanted part of a body, whether the server cut it out or sends all.
struct Cut {
    body: HttpBody,
    skip: u64,
    left: u64,
}

impl oio::ReadStream for Cut {
    async fn read(&mut self) -> Result<Buffer> {
        while self.left > 0 {
            let mut piece = self.body.read().await?;
            if piece.is_empty() {
                break;
            }
            let len = piece.len() as u64;
            let (from, to) = (self.skip.min(len), self.skip.saturating_add(self.left).min(len));
            self.skip -= from;
            if from < to {
                self.left -= to - from;
                // Both are at most its length.
                piece = piece.slice(from as usize..to as usize);
                return Ok(piece);
            }
        }
        drain(&mut self.body).await;
        Ok(Buffer::new())
    }
}

/// The entity tag of an answer.
fn tag(headers: &HeaderMap) -> Option<String> {
    multistatus::quoted(headers.get(ETAG)?.to_str().ok()?)
}

impl Call<OpRead> {
    /// Some servers overlook the condition of a read, and tell what they send, or not even that.
    async fn check(&self, wanted: &str, sent: Option<String>) -> Result<()> {
        let sent = match sent {
            Some(sent) => Some(sent),
            None => look(&self.server, &self.context, &self.path).await?.etag().map(str::to_owned),
        };
        match sent.as_deref().map(|sent| sent.strip_prefix("W/").unwrap_or(sent)) {
            Some(sent) if sent == wanted => Ok(()),
            _ => Err(Error::new(ErrorKind::ConditionNotMatch, "the server sends another content")),
        }
    }
}

impl oio::StreamRead for Call<OpRead> {
    async fn open(&self, range: BytesRange) -> Result<(RpRead, Box<dyn oio::ReadStreamDyn>)> {
        let (wanted, mut headers) = (range.to_header(), Vec::new());
        if !range.is_full() {
            headers.push((RANGE, wanted.as_str()));
        }
        if let Some(tag) = self.args.if_match() {
            headers.push((IF_MATCH, tag));
        }
        let response = self.server.send(&self.context, "GET", &self.path, &headers, Buffer::new()).await?;
        let (head, mut body) = response.into_parts();
        let skip = match head.status {
            StatusCode::PARTIAL_CONTENT => {
                let sent = head.headers.get(CONTENT_RANGE).and_then(|sent| sent.to_str().ok());
                let sent = sent.and_then(|sent| sent.parse::<BytesContentRange>().ok()?.range());
                if sent.is_none_or(|sent| sent.start != range.offset()) {
                    return Err(unexpected("the server sends another part"));
                }
                0
            }
            StatusCode::OK => range.offset(),
            status => {
                drain(&mut body).await;
                return Err(refused(status));
            }
        };
        if let Some(wanted) = self.args.if_match() {
            self.check(wanted, tag(&head.headers)).await?;
        }
        let cut = Cut { body, skip, left: range.size().unwrap_or(u64::MAX) };
        Ok((RpRead::default(), Box::new(cut)))
    }
}

impl oio::OneShotWrite for Call<OpWrite> {
    async fn write_once(&self, data: Buffer) -> Result<Metadata> {
        let mut headers = Vec::new();
        if let Some(tag) = self.args.if_match() {
            headers.push((IF_MATCH, tag));
        }
        if self.args.if_not_exists() {
            headers.push((IF_NONE_MATCH, "*"));
        }
        let size = data.len() as u64;
        let (status, head) = self.server.ask(&self.context, "PUT", &self.path, &headers, data).await?;
        if ![StatusCode::OK, StatusCode::CREATED, StatusCode::NO_CONTENT].contains(&status) {
            return Err(refused(status));
        }
        let mut metadata = MetadataBuilder::file(size);
        if let Some(tag) = tag(&head) {
            metadata.etag(tag);
        }
        Ok(metadata.build())
    }
}

impl oio::OneShotDelete for Call<()> {
    async fn delete_once(&self, path: String, _: OpDelete) -> Result<()> {
        let (status, _) = self.server.ask(&self.context, "DELETE", &path, &[], Buffer::new()).await?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(refused(status)),
        }
    }
}

/// The entry for a part of a listing of `directory`. `Ok(None)` for the directory itself. What cannot be a file here has a name that
/// nothing can have: it is not shown, but the directory is not empty.
fn entry(server: &Server, directory: &str, part: &Part) -> Result<Option<oio::Entry>> {
    let hidden = || oio::Entry::with("x".repeat(NAME_MAX + 1), MetadataBuilder::file(0).build());
    let Some(path) = server.below(&part.href)? else { return Ok(Some(hidden())) };
    let own = directory.trim_matches('/');
    if path == own {
        let file = part.properties.as_ref().is_some_and(|properties| !properties.collection);
        return if file { Err(Error::new(ErrorKind::NotADirectory, "it is a file")) } else { Ok(None) };
    }
    let name = if own.is_empty() {
        Some(path.as_str())
    } else {
        path.strip_prefix(own).and_then(|rest| rest.strip_prefix('/'))
    };
    let good = |name: &&str| {
        !["", ".", ".."].contains(name) && name.len() <= NAME_MAX && !name.contains(['/', '\0'])
    };
    let metadata = part.properties.as_ref().and_then(multistatus::Properties::metadata);
    let (Some(name), Some(metadata)) = (name.filter(good), metadata) else { return Ok(Some(hidden())) };
    let end = if metadata.is_dir() { "/" } else { "" };
    let above = if own.is_empty() { String::new() } else { format!("{own}/") };
    Ok(Some(oio::Entry::with(format!("{above}{name}{end}"), metadata)))
}

impl oio::PageList for Call<()> {
    async fn next_page(&self, page: &mut oio::PageContext) -> Result<()> {
        let parts = self.server.properties(&self.context, &self.path, true).await?;
        if parts.is_empty() {
            return Err(unexpected("a listing lacks the directory itself"));
        }
        for part in parts {
            page.entries.extend(entry(&self.server, &self.path, &part)?);
        }
        page.done = true;
        Ok(())
    }
}
