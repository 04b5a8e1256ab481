//! How to reach a bucket.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::{Certificate, ClientOptions, RetryConfig};
use url::Url;

use super::answer::Connector;
use super::credentials::CredentialsFile;

/// How long the service may take. While nobody asks for octets, or gives any, no time is counted.
#[derive(Clone, Copy, Debug)]
pub struct S3Limits {
    /// For a connection, and for the first octets of an answer.
    pub answer: Duration,
    /// For the next octets of a body that is read.
    pub progress: Duration,
    /// For a write, a removal, or an upload in parts being joined; of a write besides the time that its octets take
    /// at 512 KiB a second.
    pub change: Duration,
}

impl Default for S3Limits {
    /// Three, five and ten seconds.
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(3),
            progress: Duration::from_secs(5),
            change: Duration::from_secs(10),
        }
    }
}

/// How to reach a bucket of S3 or of a service that speaks its protocol.
#[derive(Clone, Debug, Default)]
pub struct S3Options {
    /// The bucket. It must exist.
    pub bucket: String,
    /// Where the bucket is; `us-east-1` if not given here nor by `AWS_REGION`.
    pub region: Option<String>,
    /// The service, as `https://host:port`; Amazon's if not given.
    pub endpoint: Option<String>,
    /// What all keys begin with, without a slash at either end; may be empty.
    pub prefix: String,
    /// Whether the bucket is the first part of the path and not of the host's name. If not given: with an endpoint of
    /// one's own.
    pub path_style: Option<bool>,
    /// Whether `http://` is taken for a host other than this one.
    pub allow_http: bool,
    /// Certificates that the service's must be signed by, besides those that the system trusts: PEM.
    pub ca: Option<Vec<u8>>,
    /// A file in the form of `~/.aws/credentials`, and the profile in it. If not given: the environment's keys, a web
    /// identity, the file of the user, the container's, the instance's, in this order.
    pub credentials: Option<(PathBuf, String)>,
    /// Octets of bodies that may wait in memory to be sent, over all puts.
    pub put_memory: usize,
    /// How long the service may take.
    pub limits: S3Limits,
}

/// Why a bucket cannot be reached like this. Each text names the setting and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3OptionsError {
    /// The endpoint cannot be read.
    #[error("endpoint is not of the form https://host:port: {0}")]
    Endpoint(String),
    /// Mail and signatures would go over the network in the clear.
    #[error(
        "endpoint is http:// and not on this host: use https://, or set allow_http = true if the way there is safe"
    )]
    Plaintext,
    /// The certificates cannot be read.
    #[error("ca_file holds no PEM certificates: {0}")]
    Ca(object_store::Error),
    /// The file of credentials does not serve.
    #[error("credentials_file: {0}")]
    Credentials(String),
    /// The library refuses the settings.
    #[error("{0}")]
    Refused(object_store::Error),
}

/// Where the credentials come from, for messages.
pub(super) fn source_of_credentials(options: &S3Options) -> String {
    let has = |name: &str| env::var_os(name).is_some();
    match &options.credentials {
        Some((path, profile)) => format!("{} [{profile}]", path.display()),
        None if has("AWS_ACCESS_KEY_ID") => "AWS_ACCESS_KEY_ID of the environment".to_owned(),
        None if has("AWS_WEB_IDENTITY_TOKEN_FILE") => "the web identity of the environment".to_owned(),
        None => match users_file() {
            Some((path, profile)) => format!("{} [{profile}]", path.display()),
            None => "the container's or the instance's metadata".to_owned(),
        },
    }
}

/// The user's own file of credentials, if there is one.
fn users_file() -> Option<(PathBuf, String)> {
    let path = match env::var_os("AWS_SHARED_CREDENTIALS_FILE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env::var_os("HOME")?).join(".aws/credentials"),
    };
    let profile = env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
    path.is_file().then_some((path, profile))
}

pub(super) fn connect(options: &S3Options) -> Result<AmazonS3, S3OptionsError> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&options.bucket)
        .with_http_connector(Connector::default())
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_bulk_delete(true)
        .with_disable_tagging(true)
        // Attempts are counted here, over all calls.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        });
    let path_style = options.path_style.unwrap_or(options.endpoint.is_some());
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    let mut client = ClientOptions::new()
        .with_user_agent(http_agent())
        .with_connect_timeout(options.limits.answer)
        // Each call has a limit of its own; that of a body is counted from piece to piece.
        .with_timeout_disabled();
    if let Some(endpoint) = &options.endpoint {
        let url = check_endpoint(endpoint, options.allow_http)?;
        client = client.with_allow_http(url.scheme() == "http");
        builder = builder
            .with_allow_http(url.scheme() == "http")
            .with_endpoint(with_bucket(url, &options.bucket, path_style)?);
    }
    if let Some(ca) = &options.ca {
        let certificates = Certificate::from_pem_bundle(ca).map_err(S3OptionsError::Ca)?;
        for certificate in certificates {
            client = client.with_root_certificate(certificate);
        }
    }
    let has_keys = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]
        .iter()
        .any(|name| env::var_os(name).is_some());
    let users = if has_keys { None } else { users_file() };
    if let Some((path, profile)) = options.credentials.clone().or(users) {
        let file = CredentialsFile::open(&path, &profile)
            .map_err(|error| S3OptionsError::Credentials(error.to_string()))?;
        builder = builder.with_credentials(Arc::new(file));
    }
    builder
        .with_client_options(client)
        .build()
        .map_err(S3OptionsError::Refused)
}

fn http_agent() -> http::HeaderValue {
    http::HeaderValue::from_static(concat!("restante/", env!("CARGO_PKG_VERSION")))
}

fn check_endpoint(endpoint: &str, allow_http: bool) -> Result<Url, S3OptionsError> {
    let url = Url::parse(endpoint).map_err(|error| S3OptionsError::Endpoint(error.to_string()))?;
    let wrong = |why: &str| Err(S3OptionsError::Endpoint(why.to_owned()));
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("credentials do not belong into it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("nothing follows the host and the port");
    }
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return wrong("there is no host"),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here || allow_http => Ok(url),
        "http" => Err(S3OptionsError::Plaintext),
        _ => wrong("it begins with neither https:// nor http://"),
    }
}

/// The endpoint as the library wants it: for a bucket in the host's name, with that name.
fn with_bucket(mut url: Url, bucket: &str, path_style: bool) -> Result<String, S3OptionsError> {
    if !path_style {
        let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
        url.set_host(Some(&host))
            .map_err(|error| S3OptionsError::Endpoint(error.to_string()))?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_goes_in_the_clear_only_where_it_is_safe() {
        for endpoint in [
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://localhost",
            "https://s3.example",
        ] {
            assert!(check_endpoint(endpoint, false).is_ok(), "{endpoint}");
        }
        for endpoint in ["http://10.0.0.1:9000", "http://s3.example"] {
            assert!(
                matches!(check_endpoint(endpoint, false), Err(S3OptionsError::Plaintext)),
                "{endpoint}"
            );
            assert!(check_endpoint(endpoint, true).is_ok(), "{endpoint}");
        }
        for endpoint in [
            "",
            "s3.example",
            "ftp://s3.example",
            "https://a:b@s3.example",
            "https://s3.example/?x",
        ] {
            let refused = check_endpoint(endpoint, true);
            assert!(
                matches!(refused, Err(S3OptionsError::Endpoint(_))),
                "{endpoint}: {refused:?}"
            );
        }
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_name() {
        let url = || Url::parse("https://s3.example:9000/").unwrap();
        assert_eq!(
            with_bucket(url(), "mail", true).unwrap(),
            "https://s3.example:9000"
        );
        assert_eq!(
            with_bucket(url(), "mail", false).unwrap(),
            "https://mail.s3.example:9000"
        );
    }
}
