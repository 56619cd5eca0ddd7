//! One viewer's connections: which host the next request goes to, and what the request looks like.

use crate::args::Spread;
use crate::http::{Answer, Connection, Keep, ReadError};
use crate::policy::REQUEST_MS;
use crate::target::Host;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The connections of one viewer.
#[derive(Debug)]
pub struct Lines {
    hosts: Rc<[Host]>,
    spread: Spread,
    user_agent: String,
    at: usize,
    open: Vec<Option<Numbered>>,
    counter: Rc<Cell<u64>>,
}

#[derive(Debug)]
struct Numbered {
    number: u64,
    connection: Connection,
}

/// An answer and where it came from.
#[derive(Debug)]
pub struct From {
    /// The host as written in the URL.
    pub edge: Rc<str>,
    /// Number of the connection, unique in the run: one connection is one edge, also through a load balancer.
    pub connection: u64,
    /// What it said.
    pub answer: Answer,
}

impl Lines {
    /// For the viewer of that number; `counter` numbers the connections of all.
    pub fn new(hosts: Rc<[Host]>, spread: Spread, viewer: usize, counter: Rc<Cell<u64>>) -> Self {
        let at = viewer.checked_rem(hosts.len()).unwrap_or(0);
        let open = hosts.iter().map(|_| None).collect();
        let user_agent = format!("lectern-crowd/{} viewer/{viewer}", env!("CARGO_PKG_VERSION"));
        Self { hosts, spread, user_agent, at, open, counter }
    }

    /// One try. On an error the connection is gone, and the next try makes a new one (with several hosts and unless
    /// the viewer is bound to one: at the next).
    pub async fn get(&mut self, path: &str, keep: Keep) -> Result<From, (Rc<str>, ReadError)> {
        let host = self.choose();
        let request = self.request(&host, path);
        let at = self.at;
        let mut line = self.open.get_mut(at).and_then(Option::take);
        let exchange = async {
            let mut line = match line.take() {
                Some(line) => line,
                None => Numbered { number: self.number(), connection: Connection::open(host.address).await? },
            };
            let answer = line.connection.get(request.as_bytes(), keep).await?;
            Ok((line, answer))
        };
        let done = tokio::time::timeout(Duration::from_millis(REQUEST_MS), exchange).await;
        let (line, answer) =
            done.unwrap_or(Err(ReadError::Slow(REQUEST_MS))).map_err(|e| (host.authority.clone(), e))?;
        let number = line.number;
        if !answer.head.close
            && let Some(place) = self.open.get_mut(at)
        {
            *place = Some(line);
        }
        Ok(From { edge: host.authority, connection: number, answer })
    }

    /// The host of a new connection that is not a matter of requests: HTTP-FLV and RTMP.
    pub fn fresh(&mut self) -> Host {
        self.open.iter_mut().for_each(|line| *line = None);
        self.choose()
    }

    /// The hosts of the stream.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Drops the connection that was used last.
    pub fn drop_current(&mut self) {
        if let Some(line) = self.open.get_mut(self.at) {
            *line = None;
        }
    }

    /// The request for `path` at `host`.
    pub fn request(&self, host: &Host, path: &str) -> String {
        let Self { user_agent, .. } = self;
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {user_agent}\r\nAccept: */*\r\n\r\n", host.authority)
    }

    fn choose(&mut self) -> Host {
        let is_open = self.open.get(self.at).is_some_and(Option::is_some);
        let move_on = match self.spread {
            Spread::Viewer => false,
            Spread::Connection => !is_open,
            Spread::Request => true,
        };
        if move_on {
            self.at = (self.at + 1) % self.hosts.len().max(1);
        }
        // A stream has at least one host, and `at` is below their number.
        self.hosts
            .get(self.at)
            .or(self.hosts.first())
            .cloned()
            .unwrap_or_else(|| Host { authority: "".into(), address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)) })
    }

    fn number(&self) -> u64 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }
}
