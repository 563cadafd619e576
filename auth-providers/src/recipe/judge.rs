//! What a response of the API says about the session.

use auth_core::{Judge, ResponseView, StatusJudge, Verdict};

use super::Compiled;
use super::answer::{Answer, needs_body};
use super::schema;

impl Judge for Compiled {
    fn wants_request(&self) -> bool {
        self.plan.judges_requests
    }

    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        let schema = &self.schema;
        let answer = Answer::of_view(head);
        let captures = schema.capture.values().flat_map(|takes| &takes.0);
        if captures.clone().any(schema::Take::needs_body) && self.may_be_read(head, None) {
            return true;
        }
        // A clause before this one that needs no body decides first.
        let mut matching = (schema.verdicts.iter()).filter(|clause| answer.head_matches(clause));
        matching
            .by_ref()
            .take_while(|clause| needs_body(clause))
            .any(|clause| self.may_be_read(head, clause.media_type.as_deref()))
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        if self.schema.verdicts.is_empty() {
            return StatusJudge.judge(response);
        }
        let answer = Answer::of_view(response);
        let mut verdicts = self.schema.verdicts.iter();
        match verdicts.find(|clause| answer.matches(clause)) {
            Some(clause) => match clause.means {
                Some(schema::Verdict::Accepted) | None => Verdict::Accepted,
                Some(schema::Verdict::Rejected) => Verdict::Rejected,
                Some(schema::Verdict::NotPermitted) => Verdict::NotPermitted,
                Some(schema::Verdict::Repair) => Verdict::NeedsRepair,
                Some(schema::Verdict::Unproven) => Verdict::Unproven,
                Some(schema::Verdict::Unclear) => Verdict::Unclear,
            },
            None => StatusJudge.judge(response),
        }
    }
}

impl Compiled {
    /// Whether a body may be read ahead: that of an error, or one that is short and of this type or
    /// JSON.
    fn may_be_read(&self, head: &ResponseView<'_>, media_type: Option<&str>) -> bool {
        if !head.status.is_success() {
            return true;
        }
        let limit = self.schema.judged_body;
        let is_short = match head.content_length() {
            Some(length) => length <= limit.at_most as u64,
            None => limit.without_length,
        };
        // That the type is the clause's was seen with the rest of the head.
        is_short && (media_type.is_some() || head.is_json())
    }
}
