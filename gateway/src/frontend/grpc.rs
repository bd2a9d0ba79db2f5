//! Calls of gRPC, which pass without a dialect.

use std::convert::Infallible;
use std::time::Instant;

use axum::body::Body;
use dataflow_mesh::identity::Names;
use dataflow_mesh::status::to_status;
use http::{Request, Response};
use tower::Service;

use super::{Frontend, Stack};
use crate::auth::{AuthError, Presented};
use crate::caller::Caller;
use crate::refusals::observed;

// === impl Frontend ===

impl Frontend {
    /// The response to a call whose caller has a limit, or was not admitted, which may be after a newer key set has
    /// arrived.
    pub(super) async fn answer_grpc(
        &self,
        mut stack: Stack,
        mut request: Request<Body>,
        admitted: Result<Caller, AuthError>,
    ) -> Result<Response<Body>, Infallible> {
        let began = Instant::now();
        let admitted = match admitted {
            Err(error) => self.auth.admit_again(Presented::of(&request), request.uri().path(), error).await,
            admitted => admitted,
        };
        let caller = match admitted {
            Ok(caller) => caller,
            Err(error) => {
                self.record(&error, None, &mut request);
                let status = to_status(&error);
                self.access.refused(&mut request, began, Names::default(), status.code());
                return Ok(self.refusing(status.into_http(), &error));
            }
        };
        let (mut response, standing) = match self.rates.admit(&caller).await {
            Ok(standing) => {
                let attempt = self.begin(&caller, None, &mut request);
                (observed(attempt, stack.call(request).await?), standing)
            }
            Err(error) => {
                self.refused.count_error(&error);
                let status = to_status(&error);
                self.access.refused(&mut request, began, caller.names().clone(), status.code());
                (status.into_http(), error.into_standing())
            }
        };
        standing.write(response.headers_mut());
        Ok(response)
    }
}
