//! `/metrics`, `/livez` and `/readyz` over HTTP.
//!
//! One request a connection, a bounded head, no body, and a few seconds for all of it. Of more connections than a few dozen
//! the oldest gives way, so that whoever keeps connections open keeps nobody else out, and takes no memory that matters.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinHandle};

use super::Metrics;
use super::registry::Form;
use crate::error::{Error, Result};

/// Connections at a time.
const MOST: usize = 32;

/// Bytes of a request's head; it is hyper's least.
const HEAD: usize = 8192;

/// Header lines of it.
const HEADERS: usize = 64;

/// What a client may take to send its request.
const REQUEST: Duration = Duration::from_secs(5);

/// And for all of it, the answer included.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Answers until it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Where it listens: the port that the system chose where 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Metrics {
    /// Answers `/metrics`, `/livez` and `/readyz` at `HOST:PORT`, from now on and until what is given back is dropped.
    ///
    /// Within a tokio runtime, on which it runs: have it be that of the run, so that `/livez` tells of it.
    ///
    /// # Errors
    ///
    /// The address cannot be listened at; of kind [`Usage`](crate::ErrorKind::Usage).
    pub async fn listen(&self, address: &str) -> Result<MetricsServer> {
        let failed = |error: std::io::Error| {
            Error::usage(format!("cannot listen at {address:?} for --metrics"))
                .with_hint("give HOST:PORT, such as 127.0.0.1:9187 or [::]:9187 for all, with a port that is free")
                .caused_by(error)
        };
        let mut last = std::io::Error::other("no such address");
        let mut listener = None;
        for address in lookup_host(address).await.map_err(failed)? {
            match TcpListener::bind(address).await {
                Ok(bound) => {
                    listener = Some(bound);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let Some(listener) = listener else {
            return Err(failed(last));
        };
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(serve(listener, self.clone()));
        Ok(MetricsServer { address, task })
    }
}

/// Ends a connection whose task is forgotten.
struct Open(AbortHandle);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(listener: TcpListener, metrics: Metrics) {
    let mut open: VecDeque<Open> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many files, perhaps; trying at once would keep everybody from doing anything else.
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        open.retain(|it| !it.0.is_finished());
        if open.len() >= MOST {
            open.pop_front();
            // Its task has to have its turn to be gone, before the next one comes.
            tokio::task::yield_now().await;
        }
        let exchange = exchange(stream, metrics.clone());
        let task = tokio::spawn(async move {
            let _ = tokio::time::timeout(EXCHANGE, exchange).await;
        });
        open.push_back(Open(task.abort_handle()));
    }
}

async fn exchange(stream: TcpStream, metrics: Metrics) {
    let answer = service_fn(move |request| {
        let answer = answer(&metrics, &request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        // Whoever asks like this hears of it from hyper; it is no matter for our log.
        tracing::debug!(%error, "a request for metrics ended early");
    }
}

fn answer(metrics: &Metrics, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const PLAIN: &str = "text/plain; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = respond(
            StatusCode::METHOD_NOT_ALLOWED,
            PLAIN,
            "GET only\n".to_owned(),
        );
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match request.uri().path() {
        "/metrics" => {
            let form = form(request.headers().get(ACCEPT));
            respond(StatusCode::OK, form.content_type(), metrics.text_as(form))
        }
        "/livez" => match metrics.stuck() {
            None => respond(StatusCode::OK, PLAIN, "alive\n".to_owned()),
            Some(why) => respond(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
        },
        "/readyz" => {
            let readiness = metrics.readiness();
            let status = if readiness.is_ready() {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            respond(status, PLAIN, format!("{readiness}\n"))
        }
        _ => respond(
            StatusCode::NOT_FOUND,
            PLAIN,
            "there are /metrics, /livez and /readyz\n".to_owned(),
        ),
    }
}

/// OpenMetrics where it is asked for. The two differ in what a counter is called in its `# TYPE`, so who does not know it
/// gets the older form.
fn form(accept: Option<&HeaderValue>) -> Form {
    let accept = accept.and_then(|it| it.to_str().ok()).unwrap_or_default();
    if accept.contains("application/openmetrics-text") {
        Form::OpenMetrics
    } else {
        Form::Prometheus
    }
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
