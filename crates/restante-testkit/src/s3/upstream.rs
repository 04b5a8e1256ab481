//! Who keeps the objects.

use std::env;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;
use url::Url;

use super::fault::Answer;

/// What clients must know.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

#[derive(Debug)]
pub(super) enum Upstream {
    Own(Own),
    Elsewhere(Elsewhere),
}

impl Upstream {
    /// The service that `RESTANTE_S3_URL` names, else one over a new folder.
    pub(super) fn choose(folder: &Path) -> Self {
        match env::var("RESTANTE_S3_URL") {
            Ok(url) => Self::Elsewhere(Elsewhere::new(&url)),
            Err(_) => Self::own(folder),
        }
    }

    pub(super) fn own(folder: &Path) -> Self {
        Self::Own(Own::new(folder))
    }

    pub(super) const fn place(&self) -> &Place {
        match self {
            Self::Own(own) => &own.place,
            Self::Elsewhere(elsewhere) => &elsewhere.place,
        }
    }

    /// `replaces`: what is there already is no hindrance to a write.
    pub(super) async fn ask(&self, request: Request<Bytes>, replaces: bool) -> Answer {
        match self {
            Self::Own(own) => own.ask(request, replaces).await,
            Self::Elsewhere(elsewhere) => elsewhere.ask(request).await,
        }
    }
}

/// Objects as files. What it writes is there before its attributes are, and it looks for a taken key before it writes:
/// so nobody asks while somebody writes.
pub(super) struct Own {
    place: Place,
    folder: PathBuf,
    service: S3Service,
    turns: RwLock<()>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Own {
    fn new(folder: &Path) -> Self {
        let place = Place {
            bucket: "mail".to_owned(),
            region: "us-east-1".to_owned(),
            access_key: "restante".to_owned(),
            secret_key: "s3-secret-of-the-tests".to_owned(),
        };
        std::fs::create_dir_all(folder.join(&place.bucket)).expect("a folder can be made");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).expect("the folder is there"));
        builder.set_auth(SimpleAuth::from_single(&*place.access_key, &*place.secret_key));
        Self {
            place,
            folder: folder.to_owned(),
            service: builder.build(),
            turns: RwLock::default(),
        }
    }

    async fn ask(&self, request: Request<Bytes>, replaces: bool) -> Answer {
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let (_reading, _writing) = if is_reading {
            (Some(self.turns.read().await), None)
        } else {
            (None, Some(self.turns.write().await))
        };
        if replaces {
            // The headers are signed, so it is what they ask about that has to go.
            let object = self.folder.join(request.uri().path().trim_start_matches('/'));
            drop(std::fs::remove_file(object));
        }
        let answer = self
            .service
            .call(request.map(Into::into))
            .await
            .expect("s3s answers");
        answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync())
    }
}

/// A service elsewhere, to which everything is handed on as it is signed.
#[derive(Debug)]
pub(super) struct Elsewhere {
    place: Place,
    base: Url,
    client: reqwest::Client,
}

impl Elsewhere {
    fn new(url: &str) -> Self {
        const FORM: &str = "RESTANTE_S3_URL is http://KEY:SECRET@host:port/bucket?region=R";
        let mut base = Url::parse(url).expect(FORM);
        let region = base.query_pairs().find(|(name, _)| name == "region");
        let place = Place {
            bucket: base.path().trim_matches('/').to_owned(),
            region: region.map_or_else(|| "us-east-1".to_owned(), |(_, region)| region.into_owned()),
            access_key: base.username().to_owned(),
            secret_key: base.password().expect(FORM).to_owned(),
        };
        assert!(!place.bucket.is_empty() && !place.access_key.is_empty(), "{FORM}");
        base.set_username("").expect(FORM);
        base.set_password(None).expect(FORM);
        base.set_path("/");
        base.set_query(None);
        Self {
            place,
            base,
            client: reqwest::Client::new(),
        }
    }

    async fn ask(&self, request: Request<Bytes>) -> Answer {
        let (parts, body) = request.into_parts();
        let mut url = self.base.clone();
        url.set_path(parts.uri.path());
        url.set_query(parts.uri.query());
        let asking = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body);
        let answer = asking
            .send()
            .await
            .expect("the service of RESTANTE_S3_URL answers");
        let mut told = Response::builder().status(answer.status());
        told.headers_mut()
            .expect("nothing is wrong yet")
            .clone_from(answer.headers());
        let body = answer
            .bytes()
            .await
            .expect("the service of RESTANTE_S3_URL answers");
        let body = Full::new(body).map_err(super::never).boxed_unsync();
        told.body(body).expect("an answer is an answer")
    }
}
