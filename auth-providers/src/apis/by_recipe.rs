//! What an API's login does as its recipe says.

/// Methods of [`Login`](crate::Login) that a login with a field `login` has from its recipe.
macro_rules! by_recipe {
    (account) => {
        fn account(&self) -> &Account {
            self.login.account()
        }

        fn account_mut(&mut self) -> &mut Account {
            self.login.account_mut()
        }
    };
    (options) => {
        fn options(&self) -> ProviderOptions {
            self.login.options()
        }
    };
    (variant) => {
        fn variant(&self) -> String {
            self.login.variant()
        }
    };
    (check_secret) => {
        fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
            self.login.check_secret(secret)
        }
    };
    (request) => {
        fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
            self.login.request(secret)
        }
    };
    (read) => {
        fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
            self.login.read(answers)
        }
    };
    (logout) => {
        fn logout_request(
            &self,
            credential: &Credential,
        ) -> Result<Option<http::Request<Bytes>>, LoginError> {
            self.login.logout_request(credential)
        }

        fn logged_out(
            &self,
            response: &http::Response<Bytes>,
            logout: Logout,
        ) -> Result<(), LoginError> {
            self.login.logged_out(response, logout)
        }
    };
    (probe) => {
        fn probe_url(&self) -> Option<String> {
            self.login.probe_url()
        }
    };
    ($($what:ident)+) => {
        $(by_recipe!($what);)+
    };
}

pub(super) use by_recipe;
