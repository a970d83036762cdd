//! The token on each call, and its renewal.

use crate::config::{Config, Token, TokenSource};
use crate::error::{CliError, ErrorKind, Result};
use std::sync::{Mutex, PoisonError};
use tonic::metadata::{Ascii, MetadataValue};

/// The token as a header, shared by all copies of a connection.
pub(super) struct TokenLogin {
    source: TokenSource,
    header: Mutex<MetadataValue<Ascii>>,
}

impl TokenLogin {
    pub(super) fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            source: config.token_source.clone(),
            header: Mutex::new(header(&config.token)?),
        })
    }

    pub(super) fn header(&self) -> MetadataValue<Ascii> {
        let header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        header.clone()
    }

    /// Reads the token again. The one that was read before stays where that fails.
    pub(super) async fn renew(&self) -> Result<()> {
        if !self.source.may_change() {
            return Ok(());
        }
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.read());
        let failed = |_| CliError::new(ErrorKind::Config, "the token could not be read again");
        let token = read.await.map_err(failed)??;
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = header(&token)?;
        Ok(())
    }
}

fn header(token: &Token) -> Result<MetadataValue<Ascii>> {
    let mut header: MetadataValue<Ascii> = token
        .bearer_header()
        .parse()
        .map_err(|_| CliError::new(ErrorKind::Config, "the token is not a token"))?;
    header.set_sensitive(true);
    Ok(header)
}
