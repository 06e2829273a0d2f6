//! One request: identify, answer it or pass it on to moto (translated if need be), count.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::FrontDoor;
use super::identify::identify;
use super::rpc_cbor;
use crate::endpoint::{self, Buffers, Call, Reset, is_form};

type Failure = Box<dyn Error + Send + Sync>;
type AnyBody = BoxBody<Bytes, Failure>;

/// Of bodies that have to be read before they are passed on (forms and CBOR). AWS's own limits are far below.
const BUFFERED_LIMIT_BYTES: usize = 16 << 20;
/// Paths that are moto's own and no AWS API: its control, the lab's control, its mock of the metadata service.
const PRIVATE_PATHS: [&str; 4] = ["/_lab", "/moto-api", "/latest/meta-data/", "/latest/api/"];
/// Headers that concern one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 4] = [
    CONNECTION,
    TRANSFER_ENCODING,
    EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// Answers one request. What goes wrong is an answer too, but for a fault that somebody set: that breaks the connection off.
pub(super) async fn answer(
    door: FrontDoor,
    client: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<AnyBody>, Reset> {
    if endpoint::is_question(request.uri().path()) {
        // A harness's question is no request to AWS: it is not counted.
        let answer = door
            .cloudwatch
            .0
            .answer(request, &mut Buffers::default())
            .await?;
        return Ok(answer.map(|body| body.map_err(Into::into).boxed()));
    }
    if PRIVATE_PATHS
        .iter()
        .any(|private| request.uri().path().starts_with(private))
    {
        return Ok(plain(StatusCode::FORBIDDEN, "this path is not an AWS API"));
    }
    let begun = Instant::now();
    let (mut head, body) = request.into_parts();
    if let Some(call) = Call::of_head(&head)
        && call.is_ours()
    {
        return answer_cloudwatch(&door, client, None, Request::from_parts(head, body)).await;
    }
    let rpc = rpc_cbor::operation(head.uri.path(), &head.headers).map(str::to_owned);
    let buffered = match rpc.is_some() || is_form(&head.headers) {
        true => match Limited::new(body, BUFFERED_LIMIT_BYTES).collect().await {
            Ok(body) => Buffered::Whole(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                return Ok(plain(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the request's body is too large",
                ));
            }
            Err(_) => {
                return Ok(plain(
                    StatusCode::BAD_REQUEST,
                    "the request's body ended early",
                ));
            }
        },
        false => Buffered::Streamed(body),
    };
    let form = match &buffered {
        Buffered::Whole(bytes) if rpc.is_none() => Some(&**bytes),
        _ => None,
    };
    let ours = form
        .and_then(Call::of_form)
        .is_some_and(|call| call.is_ours());
    if let Buffered::Whole(bytes) = &buffered
        && ours
    {
        let (form, body) = (bytes.clone(), Full::new(bytes.clone()));
        let request = Request::from_parts(head, body);
        return answer_cloudwatch(&door, client, Some(&form), request).await;
    }
    let operation = identify(&head.method, &head.uri, &head.headers, form);

    let response = match (&rpc, buffered) {
        (Some(name), Buffered::Whole(body)) => {
            head.uri = Uri::from_static("/");
            match rpc_cbor::request(name, &mut head.headers, &body) {
                Ok(body) => {
                    let answer = pass_on(
                        door.upstream,
                        head.method,
                        head.uri,
                        head.headers,
                        whole(body),
                    )
                    .await;
                    match answer {
                        Ok(answer) => in_cbor(answer).await,
                        Err(error) => Err(error),
                    }
                }
                Err(error) => {
                    let (status, headers, body) = rpc_cbor::refusal(&error);
                    Ok(assemble(status, headers, whole(body)))
                }
            }
        }
        (_, body) => {
            pass_on(
                door.upstream,
                head.method,
                head.uri,
                head.headers,
                body.boxed(),
            )
            .await
        }
    };
    let response = response.unwrap_or_else(|error| {
        // 503 is what AWS answers when it cannot, and what clients retry.
        plain(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("moto, which keeps the lab's records, does not answer ({error}): see moto.log and lab.log in the lab's folder"),
        )
    });
    door.ledger.record(
        client,
        &operation,
        response.status().as_u16(),
        begun.elapsed(),
    );
    if operation.may_change_hosts() {
        door.on_change.notify_one();
    }
    Ok(response)
}

/// Answers a request to CloudWatch, logs or metrics.
async fn answer_cloudwatch<B>(
    door: &FrontDoor,
    client: IpAddr,
    form: Option<&[u8]>,
    request: Request<B>,
) -> Result<Response<AnyBody>, Reset>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Failure>,
{
    let begun = Instant::now();
    let operation = identify(request.method(), request.uri(), request.headers(), form);
    let answer = door
        .cloudwatch
        .0
        .answer(request, &mut Buffers::default())
        .await;
    // A request whose connection a fault broke off was asked all the same.
    let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    door.ledger
        .record(client, &operation, status, begun.elapsed());
    Ok(answer?.map(|body| body.map_err(Into::into).boxed()))
}

enum Buffered {
    Whole(Bytes),
    Streamed(Incoming),
}

impl Buffered {
    fn boxed(self) -> AnyBody {
        match self {
            Self::Whole(bytes) => whole(bytes),
            Self::Streamed(body) => body.map_err(Into::into).boxed(),
        }
    }
}

async fn pass_on(
    upstream: SocketAddr,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: AnyBody,
) -> Result<Response<AnyBody>, Failure> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    // A connection for each request: moto's server closes it after the answer.
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its end is seen where the answer is read.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    for header in HOP_BY_HOP {
        headers.remove(header);
    }
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .version(Version::HTTP_11)
        .body(body)?;
    *request.headers_mut() = headers;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(assemble(
        head.status,
        head.headers,
        body.map_err(Into::into).boxed(),
    ))
}

async fn in_cbor(answer: Response<AnyBody>) -> Result<Response<AnyBody>, Failure> {
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    let translated = rpc_cbor::response(&mut head.headers, &body).map_err(|error| {
        format!(
            "moto answered no JSON ({error}): {}",
            String::from_utf8_lossy(&body)
        )
    })?;
    Ok(assemble(head.status, head.headers, whole(translated)))
}

fn assemble(status: StatusCode, mut headers: HeaderMap, body: AnyBody) -> Response<AnyBody> {
    for header in HOP_BY_HOP {
        headers.remove(header);
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn whole(body: impl Into<Bytes>) -> AnyBody {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed()
}

fn plain(status: StatusCode, message: &str) -> Response<AnyBody> {
    assemble(status, HeaderMap::new(), whole(format!("{message}\n")))
}
