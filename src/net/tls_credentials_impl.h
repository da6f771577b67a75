// The GnuTLS objects behind TlsCredentials, seen by tls_credentials.cc and tls_session.cc only.
#pragma once

#include <gnutls/gnutls.h>

#include "net/tls.h"

namespace mirror::net {

struct TlsCredentials::Impl {
  gnutls_certificate_credentials_t certificate = nullptr;
  gnutls_priority_t priority = nullptr;
  gnutls_datum_t ticket_key{};  // GnuTLS derives rotating keys from it
  WallTime expires{};

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();
};

}  // namespace mirror::net
