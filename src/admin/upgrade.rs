//! The order to let the next binary take over.

use serde::{Deserialize, Serialize};

use super::control::Control;
use super::orders::{Mistake, somebody};

/// The order as it comes over the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {
    /// Why; never empty.
    pub reason: String,
    /// Who.
    #[serde(default = "somebody")]
    pub who: String,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upgraded {
    /// The number of the process that takes requests now.
    pub process: u32,
}

impl Control {
    /// Have the binary upgraded. Comes back when the new process takes requests.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn upgrade(&self, request: &UpgradeRequest) -> Result<Upgraded, Mistake> {
        if request.reason.trim().is_empty() {
            return Err(Mistake::Unclear("an order needs a reason: it is logged with who gave it".into()));
        }
        let process = self.handover.upgrade(&request.who, &request.reason).await.map_err(Mistake::Failed)?;
        Ok(Upgraded { process })
    }
}
