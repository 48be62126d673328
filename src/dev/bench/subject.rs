//! A process that is measured: started with a configuration of its own, stopped and continued, its
//! CPU time read.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::app::address::Address;
use crate::dev::bench::Error;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long a process may take until it says that it is ready.
const READY: Duration = Duration::from_secs(300);
/// Clock ticks per second in `/proc`: the same on every Linux that user programs see.
const TICKS: f64 = 100.0;

/// See the module; dropping it kills the process.
pub struct Subject {
    child: Child,
    /// Written by the process once it is ready.
    ready: PathBuf,
}

impl Subject {
    /// Starts `leadstream` with these arguments; it is ready once the file `ready` is there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(arguments: &[&str], ready: PathBuf, log: &Path) -> Result<Self, Error> {
        Self::run(&std::env::current_exe()?.with_file_name("leadstream"), arguments, ready, log)
    }

    /// Starts this program, a process of its own that copies records as a script says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_raw(arguments: &[&str], ready: PathBuf, log: &Path) -> Result<Self, Error> {
        Self::run(&std::env::current_exe()?, arguments, ready, log)
    }

    fn run(program: &Path, arguments: &[&str], ready: PathBuf, log: &Path) -> Result<Self, Error> {
        let reported = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(reported)
            .spawn()?;
        Ok(Self { child, ready })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends instead, or is not ready in time.
    pub fn await_ready(&mut self) -> Result<(), Error> {
        self.await_that(READY, "is not ready", |subject| subject.ready.exists())
    }

    /// Waits until an instance has restored everything and takes events.
    ///
    /// # Errors
    /// When it ends instead, or takes longer.
    pub fn await_restored(&mut self, wait: Duration) -> Result<(), Error> {
        let is_restored = |subject: &Self| {
            subject.metrics().is_ok_and(|text| text.contains("\nleadstream_ready 1\n"))
        };
        self.await_that(wait, "has not restored everything", is_restored)
    }

    fn await_that(
        &mut self,
        wait: Duration,
        else_it: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        let until = Instant::now() + wait;
        while !holds(self) {
            self.look()?;
            if Instant::now() >= until {
                return Err(Error::Ended(format!("it {else_it} after {wait:?}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn look(&mut self) -> Result<(), Error> {
        match self.child.try_wait()? {
            Some(status) => Err(Error::Ended(status.to_string())),
            None => Ok(()),
        }
    }

    /// CPU seconds of the process so far, user and system, all threads: `utime` and `stime` of
    /// proc(5).
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn cpu_seconds(&self) -> Result<f64, Error> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = behind_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        let ticks = ticks
            .sum::<Result<f64, _>>()
            .map_err(|_| Error::Ended("its CPU time cannot be read".to_owned()))?;
        Ok(ticks / TICKS)
    }

    /// Stops it where it is.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn resume(&self) -> Result<(), Error> {
        self.signal("-CONT")
    }

    /// What a running instance tells at `/metrics`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self) -> Result<String, Error> {
        let address: Address =
            serde_json::from_slice(&fs::read(&self.ready)?).map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect(address.url.trim_start_matches("http://"))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it cannot be told or waited for.
    pub fn end(mut self) -> Result<(), Error> {
        self.signal("-TERM")?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<(), Error> {
        Command::new("kill").args([name, &self.child.id().to_string()]).status()?;
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is no matter.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
