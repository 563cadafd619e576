//! What this crate family promises, sentence by sentence.
//!
//! It binds: a change of behaviour begins with a changed sentence here. A test is named after the
//! rule that it proves, so `cargo nextest run rule_10` runs the proofs of rule 10 in every crate.
//! `contract_tests.txt` beside this file names them all and where they stand, and a test of its own
//! keeps that list complete.
//!
//! # One login
//!
//! ## Rule 1
//!
//! For one identity, at most one login is in flight. Every caller that needs it waits for that one
//! and gets its result, the credential or the failure: a failing login with a thousand waiters is
//! one login, not a thousand in a row. A login that the server only postponed, within the caller's
//! time, is no failure for those who wait: they wait on for the next one, together. A caller whose
//! time does not reach gets the failure at once. An identity is one handle and its clones, or one
//! key of a pool: its provider, its login's URL with its path, and its account, which have a form
//! that is the same in every process. The secret comes from the identity's source, and a look-up
//! never brings one along; a different source for a key in use is an error, and so are other
//! options.
//!
//! ## Rule 2
//!
//! A login outlives its callers. If the future that started it is dropped, or all of them, it still
//! completes and its session is kept.
//!
//! ## Rule 3
//!
//! Nothing waits for ever. A login that panics, hangs past its time-out, or sits on a runtime that
//! is not driven any more releases its waiters with a typed error: each waiter has a timer on its
//! own runtime, which the waiters on that runtime may share, and may supersede a dead login, whose
//! late result is then discarded, but for what it says of the password, unless a later login has
//! succeeded by then. It takes nothing back of what a later one has found out. At most one reading
//! of a secret's source that may block, such as a file, is under way, on a thread that no runtime
//! waits for; a login waits for it within its time-out. Outside any runtime there is a typed error,
//! or the blocking call, which brings its own thread.
//!
//! ## Rule 4
//!
//! No lock is held across a caller's request or across a login. A permit lasts until its login
//! ends, at most its time-out, and then lapses by itself; no request with a session waits for it. A
//! lock that a look-up in a pool needs, or the start of another identity, is held for a bounded
//! time, however many identities and origins there are.
//!
//! # The fast path
//!
//! ## Rule 5
//!
//! A fresh credential costs no wait, no lock and no allocation. Attaching a header allocates
//! nothing, with or without a condition; merging into a `Cookie` header that is there, sending some
//! of the session's cookies and not all, or adding a query pair, allocates what it builds. The
//! method and the path of a request are looked at only if some part of the session depends on them.
//! That no part is missing (rule 8) is one flag of the credential, and that none is a field of the
//! body is another. A request with such a field costs a copy of its body.
//!
//! ## Rule 6
//!
//! Inside the refresh window the current credential is served at once and one renewal runs beside
//! it. The window precedes the hard or absolute expiry, never the idle deadline; an unknown life
//! has none. A timer, where one is asked for, renews ahead of the idle deadline as well, unless
//! nothing is to be renewed ahead. The window is the smaller of a configured lead and a fraction of
//! the life, with jitter; but within half of the life it leaves room for a second, and for the
//! login, by what the last one took. A renewal that brings back the same expiry is no progress and
//! backs off.
//!
//! A session that has what a refresh takes, such as a refresh token, is refreshed before the
//! password is used: ahead of its expiry, after it, and after a rejection that is believed. What it
//! keeps and the refresh does not bring stays; but one that brings nothing of what requests carry,
//! and does not say how long that is good from now on, has failed. A refresh that is refused is
//! followed by the login in the same flight, with a permit of its own, and so is one that fails
//! otherwise, if the session is over; unless rule 20 postpones that login. One that hangs is given
//! up after 5 s in which the session was over, or in twice as long as logins take there if that is
//! longer, unless rule 12 forbids that login, or the process has no permit for it yet, or is
//! closed. One that has waited for its permit is made with the session as it is by then, if that
//! can be refreshed still, and otherwise its waiters decide anew. It never counts as a refused
//! password, and never holds back a login, nor the timer's at the end of the session. In an outage
//! of the refresh a good session is served, and refreshes back off.
//!
//! A token that can be used once is marked spent before it is sent. Unless no byte has left, it is
//! never sent again: not after a failure, not if the answer brings no other, and not if the server
//! brings it back while it is among the last sixteen that were sent. A session with no token but a
//! spent one is renewed with the password. Any other token stays if the refresh brings none. One
//! that was refused is not sent again either, until a login or a refresh has succeeded.
//!
//! A renewal that fails never holds back a login that a caller waits for: only what rule 12 says of
//! the password does, and a `Retry-After` (rule 11).
//!
//! # Rejection
//!
//! ## Rule 7
//!
//! A *generation* is one session that the cache got, by a login or a refresh or from its store; a
//! value that the server rolls in mid-session is a *revision* of it. A response is judged only if
//! it answers the very request that carried the credential, and it can only reject what that
//! request carried: a late rejection of an older generation or revision starts nothing, and the
//! request is replayed with the current one. It is not late if the current revision would put the
//! same on that request, since only a kept value or a part that is not for it has rolled, here or
//! in another process. The response to a request that carries nothing of the session, by the
//! conditions of its parts, by what narrows its cookies and for want of a body that its fields
//! could be in, neither rejects nor accepts it. A generation whose rejection was believed is never
//! served again, not even when the login server is down.
//!
//! The verdict is by the head of the response. A body is read ahead only if the judge wants it by
//! that head, no more than 64 KiB of it, and for 5 s at most; never an event stream, whatever the
//! judge wants, nor another body that arrives piece by piece by its type, is encoded, or is longer
//! by its own account. The caller gets all of it.
//!
//! Trailers are judged as they pass to the caller, if the judge wants them by that head, and by the
//! same rule: they reject what their request carried, and nothing newer.
//!
//! The cookies that a response sets, and the values that the provider reads from it, are heard
//! whatever its status is, if its request was sent with the current revision; no cookie of a name
//! that the provider added is heard from the response to a request that carried nothing of the
//! session; but not from a rejection, nor from what something between the client and the API wrote:
//! 407, 502, 503, 504, 511, and what the judge calls unclear. A new revision is another value of a
//! cookie that the provider added, or of a namesake of one, or of a header, a query pair, a field
//! of the body or a kept value. All that one response brings is one revision, and of several
//! responses to one revision the first that brings another counts.
//!
//! ## Rule 8
//!
//! The rejection of the current credential is believed at any age, unless the last login that a
//! rejection caused is on probation, or a number of such logins (three, unless set; no refreshes)
//! fell into the last minute. Then the login isn't at fault: the response stands, the session is
//! kept, no login is spent. The probation begins with the landing of the login and lasts for a
//! cooldown: 5 s, and twice as long as the last time, up to 5 min, where that ended without an
//! accepted replay. One accepted replay ends it. For a session that no response has shown to be
//! good, by an acceptance or a 403, it lasts for 2 min at least after two such sessions in a row,
//! and for 15 min after more. A server may give a session that is of no use for a wrong password,
//! so of one handle at most four logins whose sessions are rejected so fall into any 15 min; but
//! one that expires is followed by a login as any other, and `renew` asks for one at once.
//!
//! If no response has shown a refreshed session to be good yet, its rejection is believed within
//! the usual probation as well, and the password is used, once. In a store it is known as one until
//! a response to one of those that share it has shown it to be good. A late rejection spends no
//! refresh.
//!
//! A response may ask for another *part* of the session, such as a csrf value: that is a repair and
//! no login. The response brings the part, or the provider fetches it, once for all that wait, with
//! no permit and no doubt of the login. Then the session has a new revision. Many servers roll a
//! cookie with each response: where the provider fetches parts, a cookie that no part is derived
//! from is not what the response asked for, unless cookies are all that the session carries, or the
//! repair sets it to the same. A repair that fails, or whose replay asks again, starts a cooldown,
//! in which values are heard and no request is sent again for one: 5 s, and twice as long as the
//! last time, up to 5 min, until one helps. So does the second of two in a row that were refused
//! while a response rolled another value. After a failure it is no shorter than the server's
//! `Retry-After`, of an hour at most. With a session that was obtained since, one repair is tried
//! all the same, unless that `Retry-After` forbids it. If the request can't be sent once more, the
//! provider fetches the part for the next one, once in 30 s at most.
//!
//! A login may declare a part that is *missing* until it is fetched. A request that would carry it
//! is not sent without it: a repair comes first, once for all such requests, whichever hop or
//! replay they are. Other requests neither wait nor fetch. Then it is a part as any other. It ends
//! with its session, and so the next session's first such request fetches it anew, unless the login
//! or a response has brought it. If the repair fails, or brings nothing of what is missing, no such
//! request is sent: all that wait get the typed error, and so do those that come in the cooldown. A
//! part that was missing and comes ends the cooldown. A session with a missing part whose provider
//! fetches none is a failed login.
//!
//! A repair that the server refuses is a rejection of the session that it was sent with. If that is
//! believed, the login follows, and those that wait get its session, after a repair of it where a
//! part is missing; that one is the accepted replay which ends the probation. If it is doubted, the
//! repair has failed. What a repair brings belongs to its generation: to a revision that has other
//! parts by then it adds only what is still missing, and a cookie that has changed by then it sets
//! only if a part is derived from that. Callers with a newer generation neither wait for it nor get
//! its failure. One that has not ended after its time-out is begun anew, and a caller waits for
//! three at most, within its own time.
//!
//! A rejection at the told end of a life is an expiry: it is believed in any case, casts no doubt
//! and does not count. Servers that count whole seconds end a session up to a second before the
//! life that they told, so the told end is a second before it, counted from the sending of the
//! login, whichever process has sent it, or of the request that an idle timeout counts from; and
//! never in the first quarter of the life, or of what was left of it when it was taken from a
//! store.
//!
//! ## Rule 9
//!
//! A request is sent again at most once for a rejection and once for a repair. The caller gets the
//! last response, to the same request bytes, attached anew to a pristine copy. A body that can't be
//! sent twice isn't, nor is a request that says so: the caller gets the first response at once, and
//! the next request finds a new session. One whose own time-out has passed is not sent again, to no
//! hop either: its caller gets a typed error. Of a request that was redirected, that hop alone is
//! sent again. Where a redirect has changed its method, it has been done: what fails after that
//! says so, and no retry that goes by it sends the request again. A rejection in trailers comes
//! after the answer, and sends nothing again. The integrations see to it: see `auth-middleware`.
//!
//! # Restraint
//!
//! ## Rule 10
//!
//! In no window of the documented length do more logins arrive at the server than documented, for
//! all identities and clones in the process that log in at the same origin; first attempts, retries
//! and failures counted; ten a minute where nothing is documented. So a permit is bound while its
//! login is under way, and its window begins when that login has ended. After a time-out, its own
//! or the HTTP client's, a panic or a drop the login may still arrive, so the window begins when
//! its own time-out ends. A permit of the process, or of its share (rule 24), whose login was given
//! up before it was handed to the provider is free at once. One that has lapsed before that, and
//! that another login has had since, is good no more: its login waits for the next one. Waiting
//! callers spend one permit together; logins that a caller waits for go before renewals, at the
//! store (rule 23) as well. While logins are under way, callers are told the earliest time at which
//! a permit may be free, and again when it moves. No caller is refused while a permit is free. A
//! caller whose deadline comes before its permit and the time that a login takes is told so at
//! once, with the time to wait, and with the server's answer where that has postponed the last
//! login. A dot at the end of a host, and an IPv4 address that is written as an IPv6 one, make no
//! other origin here.
//!
//! A refresh is no login, unless its provider says that the server counts it as one. Otherwise it
//! has a quota of its own for each identity (30 a minute, unless set). Where that is spent, a good
//! session is used on, and for one that is over the password is used.
//!
//! ## Rule 11
//!
//! The login server's `Retry-After` on a failed login, whatever its status, holds every login to it
//! that was not handed to the provider before, capped at an hour; sessions in hand go on being
//! served. That of a refusal, or of what may be one, holds logins of its account with the same
//! secret for up to a day, whether a login or a renewal was told so; a corrected one waits for the
//! hour at most. Of several the longest counts, and a date counts from the answer's own, or else
//! from the machine's clock. One that can't be read asks for a wait all the same: a window of the
//! quota after too many logins, or else a minute.
//!
//! ## Rule 12
//!
//! A secret is taken as it would be typed, from every source alike: without a byte order mark
//! before it and without one line break after it. One that can't be typed costs no attempt, and nor
//! does a login that can't be built.
//!
//! A refused password isn't tried again until the secret changes or a cooldown ends, however many
//! requests ask; they get the same typed error. That holds for each of the last four secrets,
//! should the source go back to one before a login succeeds. While four that are, or may be,
//! refused were tried within 15 min, no other one is, since a server counts what it refuses by the
//! account: a source with a new one each time would lock it out. A pool knows of it though the
//! identity was closed, removed or forgotten, and whatever source it comes back with. What the
//! handle that has left finds out later counts as well, as of a login that was under way: the next
//! one looks at that before it sends a login, until it has logged in. The cooldown (15 min, unless
//! set) doubles with each further refusal, up to a day, while neither a login succeeds nor the
//! secret changes. A locked account is treated as a refused password. A 401 to a login is a
//! refusal, whatever its body is and however it is labelled; a 407 may be a proxy's, and only may
//! be one.
//!
//! Whatever may be a refusal is tried with an unchanged secret at most 4 times in any 15 min,
//! renewals counted: at once, after 30 s, 2 min and 5 min, and then every 15 min. That is every
//! answer that brings no session and that says neither "not now" (408, 429, 5xx) nor "wrong". It
//! brings none if its session is of no use, or if the next request that it leads to can't be sent,
//! or has no answer. A JSON list is no object: its values are none of the object's fields. A login
//! that succeeds ends the count.
//!
//! An answer has come once its status is read, whatever becomes of the rest. Where its body breaks
//! off, is too long, can't be decoded or has not ended by the time-out, the status and the
//! `Retry-After` mean what they always mean, and a 2xx is what may be a refusal. So is an answer
//! whose head can't be read.
//!
//! Meanwhile the source is looked at again, at most once a second and compared without keeping a
//! copy in clear, so that a corrected secret logs in at once. A login that has waited for its
//! permit for a second or more looks there again before it is sent, for a second at most, so that
//! it sends no secret that was changed meanwhile. What was found out meanwhile of the secret at
//! hand forbids that login as well. Outages are not refusals: they back off, with jitter, and never
//! lock a good password out. Logins back off as well that were sent and are lost with their
//! runtimes, or with the last handle of an identity that was removed from its pool, or superseded
//! before an answer came, from the second in a row on. An outage that comes after a refusal of the
//! same secret, by another handle or elsewhere, takes nothing of that refusal back. An account that
//! has too many sessions is logged out of the oldest superseded one that still waits for it, and
//! backs off for minutes.
//!
//! ## Rule 13
//!
//! While a login fails, for whatever reason, a credential that may still be good is served until
//! its hard expiry. Past it, or where it was rejected, callers get the typed error.
//!
//! # Time
//!
//! ## Rule 14
//!
//! Expiry is decided on two clocks, the wall clock and one that can't be set, and the earlier
//! verdict wins. Each time that a server states is read by itself, in the unit that makes it
//! plausible, and a life a hundred times the documented one states nothing: see `auth-providers`.
//!
//! ## Rule 15
//!
//! Sliding sessions slide. The idle deadline counts from the sending of a request whose response
//! was accepted, only ever moves forward, and is stored at most once a second. An absolute maximum
//! is absolute.
//!
//! Cookies are read, kept, replaced, deleted and sent as a user agent does it (RFC 6265, section
//! 5): each is its name, domain and path, and has a life of its own, in which `Max-Age` beats
//! `Expires` and counts from receipt; `Expires` counts from the response's `Date`, or else from the
//! machine's clock. One without a `Domain` is another cookie than one with it, though that names
//! the host itself, unless it is an address or a single label (RFC 6265bis). `Domain` and `Path`
//! narrow the scope and never widen it. A cookie that the provider adds goes to the whole scope
//! where the server does not narrow it, and one with `Secure` to loopback as well. One with
//! `Secure` that is set over plain HTTP, save from loopback, is ignored, and so is what would
//! replace or delete a `Secure` one there: what was there before stays. A login has failed whose
//! session needs a cookie that goes to no origin of the scope, or has a `Cookie` header beside its
//! cookies. One that an answer sets without a `Path` is the one of the provider that the request
//! carried, if there is one. One that the provider adds by its value alone is replaced by the first
//! of its name that an answer sets for all paths, with whatever `Domain`, and until then deleted
//! without a `Domain` or with the host's own. A cookie of another name is kept by choice. Of those
//! that the provider did not add, at most 50 are kept, and none of more than 4,096 bytes with its
//! name, path and domain (section 6.1): one beyond that is not taken. A name and a value are UTF-8:
//! a cookie of the session that is set to something else stays as it was, and that is an event.
//! Those of a repair's response count as those of any response.
//!
//! The life of a session is the least of those of the cookies that its provider named; in a sliding
//! session that is the idle timeout. A cookie whose life the server has not stated has the one that
//! the provider stated for the session. When the server states a life anew, it counts from there;
//! the one that the provider stated is forgotten once all named cookies have such a life, or one of
//! them a life that is no longer. No other cookie ends a session or extends it, but for the
//! namesakes of one that it needs: the last of those that go wherever that goes is in its place
//! when its life ends, save in a sliding session.
//!
//! A deletion of the named cookie of the current revision ends the session as expiry does, where
//! there are several the deletion of all; but a namesake takes the place of one that is deleted, if
//! the same answer sets it, before or after, or if it goes wherever that went. A deletion without a
//! `Path` is for that of its request (section 5.1.4), and deletes no cookie for which the server
//! has stated another. An empty value, in quotes or not, is one. It counts in the last minute as a
//! rejection does, and is doubted after as many (rule 8), and for 5 min after each further login of
//! a row of as many, none of which was kept for 10 min, lest a server that deletes it with each
//! response cause a login for each; but it puts no login on probation, and is believed on one. A
//! session that has expired meanwhile is neither ended nor revived. A cookie or another value that
//! is set to what it is changes nothing, unless a deadline moves by a second or more, and that is
//! no event.
//!
//! A refreshed session has the cookies that its provider adds. If the provider says so, it
//! continues all others of the session before it, as they are when the refresh ends: in their
//! places, needed or not, with what is left of their lives, and without those that have expired or
//! that ended the session by their deletion. The refresh's answer sets and deletes them as any
//! answer does, but for those that the provider adds. If none is left of the cookies that the
//! session needs, the refresh has failed as one whose answer is malformed (rule 6), and nothing of
//! the answer is heard.
//!
//! A header, a query pair or a field of the body that is derived from a cookie has the value of the
//! cookie in the same revision, of several with its name that of the shortest path, and is not sent
//! while there is none. A kept value has a life of its own, which ends the value and not the
//! session.
//!
//! # Secrecy
//!
//! ## Rule 16
//!
//! A credential goes only to the origins it was issued for: scheme, host and port. No plain HTTP,
//! save loopback (`localhost`, 127.0.0.0/8, \[::1\]) or by explicit choice. A request that misses
//! them passes without the credential, and not in silence: every such request is counted, and for
//! each handle there is one warning for each foreign origin, for at most 8 of them. So is a
//! redirect that leads to a host of the scope by another name, scheme or port. Redirects are
//! followed by the integrations, hop by hop: off the scope goes nothing of the credential, and back
//! in it the credential of the same identity is attached anew. A redirect out of the scope is not
//! followed if its URL holds, percent-encoded up to seven times, a value of the credential or one
//! that it had until it was rolled or renewed lately, or if the handle was closed while the hop was
//! under way. A query value of less than eight characters is in most URLs by chance, so it counts
//! where it stands alone, there and wherever else it is looked for. What the `Authorization` header
//! has behind its scheme counts, and a cookie that the session can't do without, whole and word by
//! word, each with 16 bytes or more: no name of a parameter, no origin of a URL, and no host where
//! the URL has it as one. A value of more than 8 KiB counts whole alone, and a URL of more than 16
//! KiB, or one that is encoded more often, is taken to hold one. No other header, cookie or field
//! of the body does. What follows from it for requests is the integrations' to see to: see
//! `auth-middleware`.
//!
//! A header, a query pair or a field of the body with a condition goes only to requests that meet
//! it: those with a method other than `GET`, `HEAD`, `OPTIONS` and `TRACE`, those below one of its
//! paths in whole segments, or both. Each hop is looked at by its own method and path.
//!
//! A field of the body is set on a copy, anew for each attempt and each hop in scope. The caller's
//! own body, which a hop off the scope repeats, never has it. A request without a body goes without
//! it. Any other is not sent, and its caller gets a typed error, unless all of the body is in
//! memory, has at most 64 KiB, is of the field's media type and not encoded, and has a place for
//! the field. Of fields of both kinds, JSON and form, a body has those of its own.
//!
//! ## Rule 17
//!
//! Passwords, tokens, cookies, csrf values, kept values, query secrets and what is set in a body
//! appear in no `Debug`, `Display`, error chain, panic message, log, event or metric of ours.
//! Headers are marked sensitive, and so are those of a response that its provider names. The
//! secret, kept values, the plain form of a session, fields of a body and the copies that they are
//! set on are zeroed where we own the memory.
//!
//! ## Rule 18
//!
//! A login is one request or several, at most 10, one after the other and within one permit. It
//! carries nothing of an earlier session and no cookies but those that its own answers have set, as
//! a user agent would send them. It goes to no origin that is neither its own nor in the scope,
//! wherever an answer leads, and nor does a logout. It follows no redirect by itself, uses no
//! connection of an earlier login, states the length of a body that is empty, is written to no log
//! by its client, and reads bounded responses: see `auth-providers`. What surrounds the values in a
//! response does not decide: byte order marks, white space, a label, a text beside them that is cut
//! off in the middle of a character.
//!
//! A value that a session keeps is on no request: its own refresh and its own logout are given it,
//! and those of no other session. A login or a repair that is routed through its own integration is
//! a typed error, not a deadlock.
//!
//! # Ends
//!
//! ## Rule 19
//!
//! Dropping the last handle stops renewals and leaks no task; it never logs out. With a store, a
//! login or a refresh that was sent ends first, within its time-out, if that is an hour at most:
//! what it brings is saved there, and what its failure forbids, since those that share it wait for
//! that. No login follows it. A save that has begun ends as well. `close().await` logs out, for all
//! clones, or changes nothing outside any runtime: waiters get `Closed`, a login in flight is
//! logged out when it ends. A further call, or one after a call that was dropped, waits for the
//! same end and returns the same. With a store, `close` leaves the session there, and that of a
//! login in flight too; only `log_out` ends it, for all that share it, and tells them so, even
//! those who still have one that it has superseded, or that the store has lost. After a `close` it
//! ends nothing, and says so. Both wait for what is on its way to the store, so that nothing of it
//! is lost, or comes after the logout. Then they tell the store what failed logins forbid, if it
//! does not know that yet. A login that ends after that, because its thread was blocked, saves
//! nothing there, and its session is logged out.
//!
//! A superseded session is logged out only by choice, after a grace, in bounded number, whether it
//! was renewed, has expired or was rejected; and never where a logout ends all sessions of the
//! account, or where the server may have given the same session again: one that is the same in all
//! that it carries and keeps, or one with the same token, and the same of the cookies that it can't
//! do without. A header or a query pair of 16 bytes that is the same will do where it has neither.
//! A logout that would carry a missing part is sent after a repair, and one whose answer asks for a
//! repair is sent again after it, once: see `auth-providers`. What the answer to a logout means is
//! the provider's to say. It knows why the session is logged out, and whether it was over before:
//! an answer that rejects such a session is no failure, and the provider's judge, where it wants
//! the request, is told which one was answered. Nor is a 2xx whose body breaks off, is too long or
//! can't be decoded, unless the provider looks into the body for what says that the logout has
//! failed. A session that is in a store, or was, is never logged out because it was superseded.
//!
//! # Sharing
//!
//! ## Rule 20
//!
//! A cache with a store looks there before it logs in or refreshes. A session that it does not know
//! and that is good is used, and nothing is sent; so is another value of the one that it has, but
//! not for a caller who asks for a renewed session. Otherwise the login takes the lease of the
//! identity, with a look at what is stored in the same step, and uses only what it read then: never
//! a refresh token from before. A renewal that no caller waits for, and whose login would have to
//! wait for a permit, gives the lease back, unless it waits for the share of rule 24. It begins
//! again with the timer or a request, from one or two seconds after that permit is expected on, or
//! after a minute if that is sooner. While another has the lease, a login waits for the result,
//! within its callers' time. Once that has taken longer than a login may, the other one waits for a
//! permit, and callers are told that they can't have one before the lease ends. It looks when the
//! store tells of a change, and else ever more seldom, each one or two seconds in the end. A caller
//! that would be turned away, for the quota or for a failure, and asks for no renewed session,
//! looks for one first, without the lease, and for 2 s at most, or a quarter of a second if it
//! fails fast. The callers of a cache do that once a second together. A lease lasts for the login's
//! time-out, or an hour if that is longer, and 5 s. It is extended at a third of that while its
//! login is under way, and lapses by itself. So among those that reach the store and are not
//! stopped for longer than a lease, one login is under way for an identity. Waiters are told once
//! the session is saved: a program that ends with its answer in hand has left it there.
//!
//! Without a store nothing is paid for it. With one, a request with a fresh session costs the same.
//!
//! ## Rule 21
//!
//! A session is saved only over an older one: older by the fence of the lease under which it was
//! obtained, and then by its revision. What can't be read may be newer, if a later lease was given.
//! So a login that was stopped, and goes on after another one has saved, changes nothing; and its
//! notes are saved only while no later lease was given. A failed login or refresh never changes a
//! stored session. One that was logged out does not come back; but a login or a refresh that is
//! under way elsewhere at that time brings a session of its own, as one that begins later does.
//! After the store has lost its data, a session of before is saved if none is there, and none was
//! logged out since.
//!
//! What rolls in mid-session, and what a repair brings, is saved as a revision, by a task; of two
//! at a time the last one counts. Where an idle deadline has moved by an eighth of its timeout, or
//! a response has shown a refreshed session to be good, that is saved as well, with the next look
//! at the store, but over no value that another process has saved meanwhile. It alone makes no new
//! value where it is taken over, so what answers to requests that are under way bring is heard.
//!
//! A rejection that a process believes is noted by its next login, with its look at the store. The
//! others give the session up when they look next: with their next login or refresh, by their own
//! next rejection, a second after the store tells of a change, and within ten seconds in any case
//! where the runtime is driven on which their cache first logged in. A session that is newer than
//! the one that was rejected, and puts something else on requests, is taken in place of a login. A
//! revision or a deadline that is being saved while its session's rejection is noted brings the
//! session back, since the value may be good, until that is rejected again.
//!
//! ## Rule 22
//!
//! What a failed login forbids is kept in the store, and so is the last word on whether rejections
//! are believed, as it was when the login ended: they hold for all processes and for those that
//! start later. What rule 12 counts stays counted there, whatever other failure follows it, and so
//! does what forbids more than a failure that was found out without the store. A login that has
//! succeeded ends what is noted of its secret, with its save, though it could not look before. The
//! store also knows that a refresh token was refused, of whatever kind, until a login or a refresh
//! has succeeded, and how long the server wants no refresh, by the `Retry-After` of one that has
//! failed. An accepted replay is known to its process alone. A refusal holds for the secret that
//! was refused, which is known by a keyed hash. So eight processes with a wrong password, or
//! thirteen starts of a program, make one attempt. What is wrong before anything was sent holds for
//! its process alone. How long it has held counts by a clock that can't be set, or by the wall
//! clock where the store has no other: in Redis, in files after another start of the machine, and
//! in files where the system is no unix.
//!
//! A token that can be used once is marked spent in the store before it is sent. If the store does
//! not confirm that, or has marks that can't be read, the token is not sent, and the password is
//! used where the session is over. A store that has lost its data has lost its marks, and so has
//! one that was purged, or that has an earlier session again, of a backup: a token of before that
//! is not sent either, and a process that saves its session again leaves it out if it has sent it.
//! A store that may have lost marks which it had confirmed says so, as one in Redis does whose
//! server has changed: then no token is sent of a session that was obtained before, though the
//! session is served, and what failed logins forbid holds. If a refresh is refused, the store is
//! looked at again first: a newer session there means a race, and no refusal.
//!
//! ## Rule 23
//!
//! A login needs a permit of its process (rule 10) and one of the store, which counts all logins at
//! an origin: from when it is given until a window after the login has ended, by the store's clock,
//! though the permit had lapsed meanwhile, and by the window that its process had: one that is made
//! longer counts from the next logins on. After a time-out, or if its process is gone, it counts
//! until the time-out of a login that was sent as late as it may be, and a window more. The
//! server's `Retry-After` holds all that share the store. If the answer has taken longer than a
//! step at the store, or the login is not sent within 5 s, since the machine slept, a permit is
//! asked for again. A login is not sent if a caller has found its session in the store meanwhile.
//! One that has no lease by the time that it has its permit, because the store was in trouble, or
//! has lost its data, or its process was stopped, looks there once more first. One that has its
//! permit by then is not held by a `Retry-After` of another process, if it is sent within those 5
//! s. This bounds what reaches the server. No lease can: a server does not look at one.
//!
//! ## Rule 24
//!
//! A step at the store takes 2 s at most. If it fails, there is an event. A login whose lease has
//! failed, as on a disk that is full, reads what is there within the same 2 s: a good session is
//! used, and what is noted holds. Then the cache goes on without the store for 5 s, or until its
//! end, which asks it once more: sessions are served, logins are single within the process, and of
//! the quota the process takes a fifth, at least one login. A login that the store has told to wait
//! waits in any case, and one that waits for a permit of that fifth waits for one of the store as
//! soon as that answers. More than five such processes may together exceed the quota, and fewer by
//! as much as the store had given in the window before, or gives in the window after: it is told of
//! such a login only if it answers when that ends. Nothing fails for it but what can't be done: a
//! token that can be used once is not sent, and a `log_out` says that the others are not told. What
//! was obtained meanwhile is used, and saved when the store is looked at next, unless another
//! session is there by then that has not expired. That one is used once the one at hand is due. A
//! later value of the one that it has superseded is no other session, nor is its own, if a save
//! arrives after its time. Until it is saved, it keeps the lease under which it was obtained, or
//! one that supersedes it gives that back, or the end of its cache; a login that has failed gives
//! its lease back after those 5 s, with its notes, and if it was given none, takes it for them
//! then, unless another has it or a good session is there. Its `Retry-After` is told once more
//! after 5 s, and again while the cache is there.
//!
//! ## Rule 25
//!
//! What is stored is sealed with a key, for one identity, its login's URL, its provider's variant
//! and its kind; names in the store are keyed hashes. What can't be read is as if it was not there:
//! it is damaged, of a later version, sealed with another key, or another identity's that was moved
//! there; or its file is one that others can write. That is an event and no failure, whether the
//! store has found it or the seal, and it stays until a session is saved or logged out in its
//! place, but for a file of a later version, in whose place a logout is an error; a file that is
//! damaged, until there are notes to save. Beside a file of a later version they are saved in one
//! of their own. Where there are several keys, the first one seals, and all open.
