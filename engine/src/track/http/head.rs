//! What a server says of a file without sending it.

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Method;
use reqwest::header::{HeaderMap, LAST_MODIFIED};

use super::Client;
use super::error::{FetchError, Trouble};

impl Client {
    /// When a file was changed, in seconds since 1970; none where the server does not say.
    pub async fn modified(&self, url: &str) -> Result<Option<i64>, FetchError> {
        let url = self.target(url)?;
        let mut tries = self.tries();
        loop {
            let asked = async {
                let _permit = self.permit(&url).await;
                let response = self.send(Method::HEAD, &url, HeaderMap::new()).await?;
                let date = response.headers().get(LAST_MODIFIED).and_then(|v| v.to_str().ok());
                Ok::<_, Trouble>(date.and_then(seconds))
            };
            match asked.await {
                Ok(modified) => return Ok(modified),
                Err(trouble) => trouble.retry(&url, &mut tries).await?,
            }
        }
    }
}

fn seconds(date: &str) -> Option<i64> {
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(date).ok().map(|time| time.as_second())
}
