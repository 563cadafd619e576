//! What an attachment puts on a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::Target;
use super::attachment::Attachment;
use super::body_field::{BodyField, FieldName};
use super::encoded::UNRESERVED;

impl Attachment {
    #[inline]
    pub(crate) fn attach_headers(&self, target: Target<'_>, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            if name == AUTHORIZATION {
                // The usual name, as a constant: the compiler then knows its hash.
                headers.insert(AUTHORIZATION, value.clone());
            } else {
                headers.insert(name.clone(), value.clone());
            }
        }
        if self.facts.more_than_headers {
            for (name, value) in self.dependents.headers.of(target) {
                headers.insert(name.clone(), value.clone());
            }
            self.cookies.attach(target, headers);
        }
    }

    pub(crate) fn attach_query(&self, target: Target<'_>, query: Option<&str>) -> Option<String> {
        let ours = self.query_of(target);
        if ours.is_empty() {
            return None;
        }
        let mut line = String::new();
        for pair in query.unwrap_or("").split('&') {
            let name = pair.split('=').next().unwrap_or(pair);
            let name = percent_decode_str(name).decode_utf8_lossy();
            if pair.is_empty() || ours.iter().any(|(ours, _)| *ours == name) {
                continue;
            }
            line.push_str(pair);
            line.push('&');
        }
        for (index, (name, value)) in ours.into_iter().enumerate() {
            if index > 0 {
                line.push('&');
            }
            line.extend(utf8_percent_encode(name, UNRESERVED));
            line.push('=');
            line.extend(utf8_percent_encode(value, UNRESERVED));
        }
        Some(line)
    }

    /// The fields that the body of a request to this target has, each once.
    pub(crate) fn fields_of<'a>(
        &'a self,
        target: Target<'_>,
    ) -> impl Iterator<Item = BodyField<'a>> + use<'a> {
        let mut fields: Vec<(&FieldName, &str)> = Vec::new();
        if self.facts.has_fields && target.has_body() {
            for (name, value) in self.dependents.fields.of(target) {
                // A later one of the name goes in its place.
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, old)) => *old = value,
                    None => fields.push((name, value)),
                }
            }
        }
        fields.into_iter().map(|(name, value)| name.with(value))
    }

    /// The pairs that a request to this target carries, each name once.
    fn query_of(&self, target: Target<'_>) -> Vec<(&str, &str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        let of_all = self.query.iter().map(|(name, value)| (name, value));
        for (name, value) in of_all.chain(self.dependents.query.of(target)) {
            match pairs.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => pairs.push((name, value)),
            }
        }
        pairs
    }
}
