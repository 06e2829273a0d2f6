//! The HTTP client under the SDK: one pool of connections for everything, TLS only where it is needed, proxies and private
//! certificate authorities as every AWS tool takes them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::bounds::{Asked, bounded};

/// An idle connection is closed after this time. It is also how often the pool wakes up to look, so it is not short; and
/// it is below the 60 s after which load balancers commonly close, so that a request rarely meets a closing connection.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// Where AWS tools look for a file of certificate authorities.
const CA_BUNDLE_VARIABLE: &str = "AWS_CA_BUNDLE";

/// Where the SDK takes the address of instance metadata from.
const METADATA_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// The variables that name a proxy; each also in lower case.
const PROXY_VARIABLES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/// Through which proxy requests go.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Through none, whatever the environment says.
    Direct,
    /// Through this one.
    Through {
        /// `http://[user:password@]host:port`, or `https://…`.
        url: String,
        /// Hosts, domains and networks to reach without it, separated by commas.
        except: String,
    },
}

impl fmt::Debug for Proxy {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxy::Environment => f.write_str("Environment"),
            Proxy::Direct => f.write_str("Direct"),
            Proxy::Through { url, except } => {
                let host = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
                f.debug_struct("Through")
                    .field("host", &host)
                    .field("except", except)
                    .finish()
            }
        }
    }
}

/// Connections can't be made as asked for.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file of certificate authorities can't be read.
    #[error("can't read the certificate authorities in {}; make the file readable, or unset ca_bundle and AWS_CA_BUNDLE", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something that is no certificate.
    #[error("{} holds no usable certificate authority: {why}; give a file of PEM certificates", path.display())]
    NotACertificate {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// No proxy can be reached by this URL.
    #[error("{place} names no proxy that can be used: {why}; write http://host:port")]
    Proxy {
        /// The variable or key.
        place: String,
        /// What is wrong. Never the URL itself: it may hold a password.
        why: String,
    },
}

/// The client that every call to AWS goes through.
#[derive(Debug, Clone)]
pub struct Http {
    shared: Arc<Shared>,
}

struct Shared {
    proxy: ProxyConfig,
    tls: TlsContext,
    max_idle_connections: usize,
    /// Where the environment puts instance metadata: on the host's link too, wherever that is.
    metadata: Option<String>,
    /// Whether nothing but metadata is asked.
    metadata_only: bool,
    /// One set of connections per pair of (connect, read) time limits. In practice two: ours, and the metadata service's.
    routes: Mutex<Vec<(Limits, SharedHttpConnector)>>,
}

impl fmt::Debug for Shared {
    /// Without the proxy, whose URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("direct", &self.proxy.is_disabled())
            .field("max_idle_connections", &self.max_idle_connections)
            .finish_non_exhaustive()
    }
}

type Limits = (Option<Duration>, Option<Duration>);

impl Http {
    /// A client that trusts `ca_bundle`, else the file that `AWS_CA_BUNDLE` names, else what the system trusts.
    ///
    /// # Errors
    /// When the file of certificate authorities or a proxy's URL can't be used.
    pub fn new(
        ca_bundle: Option<&Path>,
        proxy: &Proxy,
        max_idle_connections: usize,
    ) -> Result<Http, HttpError> {
        let from_environment = std::env::var_os(CA_BUNDLE_VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let trust = match ca_bundle.or(from_environment.as_deref()) {
            Some(path) => trust_of(path)?,
            None => TrustStore::default(),
        };
        Ok(Http {
            shared: Arc::new(Shared {
                proxy: proxy_config(proxy)?,
                tls: TlsContext::builder()
                    .with_trust_store(trust)
                    .build()
                    .unwrap_or_default(),
                max_idle_connections,
                metadata: std::env::var(METADATA_VARIABLE)
                    .ok()
                    .as_deref()
                    .and_then(authority)
                    .map(str::to_owned),
                metadata_only: false,
                routes: Mutex::default(),
            }),
        })
    }

    /// A client that goes through no proxy, for services on the host's own link: what they answer is short.
    #[must_use]
    pub fn direct() -> Http {
        Http {
            shared: Arc::new(Shared {
                proxy: ProxyConfig::disabled(),
                tls: TlsContext::default(),
                max_idle_connections: 1,
                metadata: None,
                metadata_only: true,
                routes: Mutex::default(),
            }),
        }
    }
}

/// Reads a file of PEM certificates, and refuses here what the TLS library would panic over at the first connection.
fn trust_of(path: &Path) -> Result<TrustStore, HttpError> {
    let pem = std::fs::read(path).map_err(|source| HttpError::CaBundle {
        path: path.to_owned(),
        source,
    })?;
    let refuse = |why: String| HttpError::NotACertificate {
        path: path.to_owned(),
        why,
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("there is no certificate in it".into()));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

fn proxy_config(proxy: &Proxy) -> Result<ProxyConfig, HttpError> {
    let usable = |place: &str, url: &str| {
        // As curl does: without a scheme, http is meant.
        let full = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        ProxyConfig::all(full).map_err(|_| HttpError::Proxy {
            place: place.to_owned(),
            why: "it is not the URL of an HTTP proxy".into(),
        })
    };
    match proxy {
        Proxy::Direct => Ok(ProxyConfig::disabled()),
        Proxy::Through { url, except } => Ok(usable("proxy", url)?.no_proxy(except)),
        Proxy::Environment => {
            let mut any = false;
            for name in PROXY_VARIABLES {
                for name in [name.to_owned(), name.to_ascii_lowercase()] {
                    if let Ok(url) = std::env::var(&name)
                        && !url.is_empty()
                    {
                        usable(&name, &url)?;
                        any = true;
                    }
                }
            }
            Ok(match any {
                true => ProxyConfig::from_env(),
                false => ProxyConfig::disabled(),
            })
        }
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limits = (settings.connect_timeout(), settings.read_timeout());
        let mut routes = self
            .shared
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = routes.iter().find(|(known, _)| *known == limits) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Routes {
            shared: self.shared.clone(),
            settings: settings.clone(),
            plain: OnceLock::new(),
            direct: OnceLock::new(),
            proxied: OnceLock::new(),
        });
        routes.push((limits, connector.clone()));
        connector
    }
}

/// The ways out, each made when it is first needed: the system's certificate authorities cost milliseconds and memory
/// that a plain endpoint need not pay.
#[derive(Debug)]
struct Routes {
    shared: Arc<Shared>,
    settings: HttpConnectorSettings,
    plain: OnceLock<Connector>,
    direct: OnceLock<Connector>,
    proxied: OnceLock<Connector>,
}

impl Routes {
    fn builder(&self) -> ConnectorBuilder {
        Connector::builder()
            .connector_settings(self.settings.clone())
            .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
            .pool_max_idle_per_host(self.shared.max_idle_connections)
            .enable_tcp_nodelay(true)
    }

    fn with_tls(&self, proxy: ProxyConfig) -> Connector {
        self.builder()
            .proxy_config(proxy)
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(self.shared.tls.clone())
            .build()
    }
}

impl HttpConnector for Routes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri();
        let metadata = self.shared.metadata_only
            || is_link_local(uri)
            || self.shared.metadata.is_some() && self.shared.metadata.as_deref() == authority(uri);
        let direct = metadata || self.shared.proxy.is_disabled();
        let asked = match metadata {
            true => Asked::Metadata,
            false => Asked::of(request.headers().get("x-amz-target")),
        };
        let connector = match (direct, uri.starts_with("https:")) {
            (true, false) => self.plain.get_or_init(|| self.builder().build_http()),
            (true, true) => self
                .direct
                .get_or_init(|| self.with_tls(ProxyConfig::disabled())),
            (false, _) => self
                .proxied
                .get_or_init(|| self.with_tls(self.shared.proxy.clone())),
        };
        let call = connector.call(request);
        HttpConnectorFuture::new(async move { call.await.map(|answer| bounded(asked, answer)) })
    }
}

/// Whether the host is a metadata or credentials service on the host's own link: a proxy would ask its own, and hand
/// this host the proxy's identity.
fn is_link_local(uri: &str) -> bool {
    authority(uri).is_some_and(|authority| {
        authority.starts_with("169.254.")
            || authority
                .get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case("[fd00:ec2"))
    })
}

/// `host:port` of a URL.
fn authority(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn metadata_services_are_never_asked_through_a_proxy() {
        for (uri, link_local) in [
            ("http://169.254.169.254/latest/api/token", true),
            ("http://169.254.170.2/v2/credentials", true),
            ("http://[fd00:ec2::254]/latest/", true),
            ("https://logs.eu-west-1.amazonaws.com/", false),
            ("http://169.255.1.1/", false),
            ("http://example.com/169.254.", false),
        ] {
            assert_eq!(is_link_local(uri), link_local, "{uri}");
        }
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        let error = Http::new(Some(&missing), &Proxy::Direct, 1).unwrap_err();
        assert!(error.to_string().contains("missing.pem"), "{error}");

        for (name, content) in [
            ("empty.pem", ""),
            ("text.pem", "hello\n"),
            (
                "broken.pem",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            ("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = Http::new(Some(&path), &Proxy::Direct, 1).unwrap_err();
            assert!(
                matches!(error, HttpError::NotACertificate { .. }),
                "{name}: {error}"
            );
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_without_showing_a_password() {
        for url in [
            "socks5://user:secret@proxy:1080",
            "ftp://user:secret@proxy",
            "http://",
        ] {
            let proxy = Proxy::Through {
                url: url.into(),
                except: String::new(),
            };
            let error = Http::new(None, &proxy, 1).unwrap_err().to_string();
            assert!(error.contains("proxy"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let proxy = Proxy::Through {
            url: "proxy.example.com:3128".into(),
            except: "localhost".into(),
        };
        assert!(Http::new(None, &proxy, 1).is_ok());
    }

    #[test]
    fn a_proxy_s_password_is_never_shown() {
        let proxy = Proxy::Through {
            url: "http://user:secret@proxy:3128".into(),
            except: "localhost".into(),
        };
        let http = Http::new(None, &proxy, 1).unwrap();
        let shown = format!("{proxy:?} {http:?}");
        assert!(shown.contains("proxy:3128"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
