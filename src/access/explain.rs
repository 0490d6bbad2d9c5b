//! What policy would say, for those who write it: the same checks that a call meets, all of them and with their lines, and
//! no grant.

use std::sync::Arc;

use super::{
    DenialReason, IssueRules, PolicyError,
    check::{self, AskedToken, Check, Verdict},
    policy,
};
use crate::model::{Client, ExtraClaims, IssueRequest, Method, VerifyRequest};

/// What a client might ask for.
pub(crate) enum Question {
    /// A token.
    Issue(IssueRequest),
    /// Whether a token is good.
    Verify(VerifyRequest),
    /// A method, as a whole.
    Call(Method),
    /// To log this user in.
    Login(String),
    /// To exchange a token.
    Exchange(PlannedExchange),
}

/// An exchange, as far as policy looks at it.
pub(crate) struct PlannedExchange {
    /// The new token. Its subject is the subject token's; none: any.
    pub(crate) token: IssueRequest,
    /// Whom the subject token is for; none: the client.
    pub(crate) audiences: Vec<String>,
    /// Who issued the subject token; none: this server.
    pub(crate) issuer: Option<String>,
    /// Whether there is an actor token.
    pub(crate) is_acting: bool,
}

/// What policy says to it.
pub(crate) struct Explanation {
    /// Each value that is looked at.
    pub(crate) values: Vec<ExplainedValue>,
    /// What the call would come to.
    pub(crate) outcome: Result<(), PolicyError>,
}

/// What policy says about one value.
pub(crate) struct ExplainedValue {
    /// Where it stands: `audiences[0]`.
    pub(crate) place: String,
    /// The value, where it is a text.
    pub(crate) value: Option<String>,
    /// What it is for a denial.
    pub(crate) reason: DenialReason,
    /// Whether it is allowed.
    pub(crate) is_allowed: bool,
    /// The line that says so; none where no line allows it.
    pub(crate) line: Option<String>,
}

/// What policy says to `question`, were it asked by `client`.
pub(crate) fn explain(client: &Arc<Client>, question: Question, rules: &IssueRules) -> Explanation {
    let values = |checks: Vec<Check<'_>>| checks.iter().map(|check| explained(check, client)).collect();
    match question {
        Question::Issue(request) => Explanation {
            values: values(check::issue(client, policy::asked(client, &request), rules).collect()),
            outcome: policy::issue_to(client, request, rules).map(drop),
        },
        Question::Verify(request) => {
            let method = check::method(client, Method::VerifyToken);
            let all = [method.clone()].into_iter().chain(check::verify(client, &request.audiences));
            Explanation {
                values: values(all.collect()),
                outcome: policy::all(client, [method])
                    .map_err(PolicyError::from)
                    .and_then(|()| policy::verify_for(client, request).map(drop)),
            }
        }
        Question::Call(method) => {
            let method = check::method(client, method);
            Explanation {
                outcome: policy::all(client, [method.clone()]).map_err(PolicyError::from),
                values: values(vec![method]),
            }
        }
        Question::Exchange(planned) => {
            let none = ExtraClaims::default();
            let asked = AskedToken {
                subject: None,
                audiences: &planned.token.audiences,
                scopes: &planned.token.scopes,
                claims: &none,
                ttl: planned.token.ttl,
                with_session: false,
            };
            let token = planned.subject_token(client);
            let checks: Vec<Check<'_>> =
                check::exchange(client, planned.is_acting, asked, rules).chain(token).collect();
            Explanation {
                outcome: policy::all(client, checks.clone()).map_err(PolicyError::from),
                values: values(checks),
            }
        }
        Question::Login(username) => {
            let checks: Vec<Check<'_>> = check::login(client, &username).collect();
            Explanation {
                outcome: policy::all(client, checks.clone()).map_err(PolicyError::from),
                values: values(checks),
            }
        }
    }
}

impl PlannedExchange {
    /// What is looked at of the subject token.
    fn subject_token<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = Check<'a>> {
        const FIELD: &str = "subject_token";
        let issuer = self.issuer.as_deref().map(|issuer| check::exchanged_issuer(client, FIELD, issuer));
        let audience =
            (!self.audiences.is_empty()).then(|| check::exchanged_audience(client, FIELD, &self.audiences));
        let subject = self.token.subject.as_deref().map(|subject| check::exchanged_subject(client, subject));
        [issuer, audience, subject].into_iter().flatten()
    }
}

fn explained(check: &Check<'_>, client: &Client) -> ExplainedValue {
    let (is_allowed, line) = match check.verdict {
        Verdict::Allowed(line) => (true, Some(line)),
        Verdict::Denied(line) => (false, line),
    };
    ExplainedValue {
        place: check.place.to_string(),
        value: check.value.map(str::to_owned),
        reason: check.reason,
        is_allowed,
        line: line.map(|line| line.of(client).to_string()),
    }
}
