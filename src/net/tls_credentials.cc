#include <fmt/chrono.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <ctime>
#include <utility>

#include <arpa/inet.h>

#include "net/file.h"
#include "net/tls.h"
#include "net/tls_credentials_impl.h"

namespace mirror::net {

namespace {

constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
    "-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:-MAC-ALL:+AEAD:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%SERVER_PRECEDENCE";
constexpr std::size_t kPemBytesMax = 256 * 1024;
constexpr auto kValidity = std::chrono::days(365);
constexpr auto kRenewBefore = std::chrono::days(30);

struct Crt {
  gnutls_x509_crt_t get = nullptr;
  Crt() { gnutls_x509_crt_init(&get); }
  ~Crt() { gnutls_x509_crt_deinit(get); }
  Crt(const Crt&) = delete;
  Crt& operator=(const Crt&) = delete;
};

struct PrivateKey {
  gnutls_x509_privkey_t get = nullptr;
  PrivateKey() { gnutls_x509_privkey_init(&get); }
  ~PrivateKey() { gnutls_x509_privkey_deinit(get); }
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;
};

gnutls_datum_t datum_of(const std::string& text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          static_cast<unsigned>(text.size())};
}

WallTime wall_time(std::time_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

std::time_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string day_of(WallTime time) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(seconds_of(time)));
}

Status add_name(gnutls_x509_crt_t crt, const std::string& name) {
  std::array<unsigned char, 16> address{};
  int rc = 0;
  if (::inet_pton(AF_INET, name.c_str(), address.data()) == 1) {
    rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address.data(), 4,
                                              GNUTLS_FSAN_APPEND);
  } else if (::inet_pton(AF_INET6, name.c_str(), address.data()) == 1) {
    rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address.data(), 16,
                                              GNUTLS_FSAN_APPEND);
  } else {
    rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name.data(),
                                              static_cast<unsigned>(name.size()),
                                              GNUTLS_FSAN_APPEND);
  }
  if (rc < 0) return fail("name {}: {}", name, gnutls_strerror(rc));
  return {};
}

struct Pem {
  std::string certificate;
  std::string key;
};

std::string take_text(gnutls_datum_t& datum) {
  std::string text(reinterpret_cast<const char*>(datum.data), datum.size);
  gnutls_free(datum.data);
  return text;
}

Status describe(gnutls_x509_crt_t crt, const std::vector<std::string>& names, WallTime now) {
  std::array<unsigned char, 16> serial{};
  gnutls_rnd(GNUTLS_RND_NONCE, serial.data(), serial.size());
  serial[0] = static_cast<unsigned char>((serial[0] & 0x3f) | 0x40);  // positive, full length
  const std::string& common_name = names.empty() ? "mirror" : names.front();
  gnutls_x509_crt_set_version(crt, 3);
  gnutls_x509_crt_set_serial(crt, serial.data(), serial.size());
  // An hour back: the clocks of viewers are not exact.
  gnutls_x509_crt_set_activation_time(crt, seconds_of(now - std::chrono::hours(1)));
  gnutls_x509_crt_set_expiration_time(crt, seconds_of(now + kValidity));
  gnutls_x509_crt_set_dn_by_oid(
      crt, GNUTLS_OID_X520_COMMON_NAME, 0, common_name.data(),
      static_cast<unsigned>(std::min<std::size_t>(common_name.size(), 64)));
  gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
  gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
  gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
  for (const std::string& name : names) {
    if (auto status = add_name(crt, name); !status) return status;
  }
  return {};
}

Result<Pem> generate(const std::vector<std::string>& names, WallTime now) {
  const PrivateKey key;
  const Crt crt;
  int rc = gnutls_x509_privkey_generate(key.get, GNUTLS_PK_ECDSA,
                                        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  if (rc < 0) return fail("generating a key: {}", gnutls_strerror(rc));
  if (auto status = describe(crt.get, names, now); !status) {
    return std::unexpected(std::move(status.error()));
  }
  rc = gnutls_x509_crt_set_key(crt.get, key.get);
  if (rc == 0) rc = gnutls_x509_crt_sign2(crt.get, crt.get, key.get, GNUTLS_DIG_SHA256, 0);
  if (rc < 0) return fail("signing the certificate: {}", gnutls_strerror(rc));
  gnutls_datum_t crt_pem{};
  gnutls_datum_t key_pem{};
  rc = gnutls_x509_crt_export2(crt.get, GNUTLS_X509_FMT_PEM, &crt_pem);
  if (rc < 0) return fail("exporting the certificate: {}", gnutls_strerror(rc));
  Pem pem;
  pem.certificate = take_text(crt_pem);
  rc = gnutls_x509_privkey_export2(key.get, GNUTLS_X509_FMT_PEM, &key_pem);
  if (rc < 0) return fail("exporting the key: {}", gnutls_strerror(rc));
  pem.key = take_text(key_pem);
  return pem;
}

Status check_dates(const Crt& crt, const std::string& file, WallTime now) {
  const WallTime from = wall_time(gnutls_x509_crt_get_activation_time(crt.get));
  const WallTime until = wall_time(gnutls_x509_crt_get_expiration_time(crt.get));
  if (now >= until) return fail("certificate {}: expired on {}", file, day_of(until));
  if (now < from) return fail("certificate {}: not valid before {}", file, day_of(from));
  return {};
}

bool covers(const std::string& pem, const std::vector<std::string>& names) {
  const Crt crt;
  const gnutls_datum_t datum = datum_of(pem);
  if (gnutls_x509_crt_import(crt.get, &datum, GNUTLS_X509_FMT_PEM) < 0) return false;
  for (const std::string& name : names) {
    if (gnutls_x509_crt_check_hostname(crt.get, name.c_str()) == 0) return false;
  }
  return true;
}

}  // namespace

TlsCredentials::Impl::~Impl() {
  if (certificate != nullptr) gnutls_certificate_free_credentials(certificate);
  if (priority != nullptr) gnutls_priority_deinit(priority);
  if (ticket_key.data != nullptr) {
    gnutls_memset(ticket_key.data, 0, ticket_key.size);
    gnutls_free(ticket_key.data);
  }
}

TlsCredentials::TlsCredentials(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsCredentials::~TlsCredentials() = default;

WallTime TlsCredentials::expires() const { return impl_->expires; }

Status TlsCredentials::equip(gnutls_session_int* session) const {
  int rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, impl_->certificate);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  rc = gnutls_session_ticket_enable_server(session, &impl_->ticket_key);
  if (rc < 0) return fail("TLS tickets: {}", gnutls_strerror(rc));
  return {};
}

Result<std::shared_ptr<TlsCredentials>> TlsCredentials::load(
    const std::filesystem::path& certificate, const std::filesystem::path& key, WallTime now) {
  auto crt_pem = read_file(certificate, kPemBytesMax);
  if (!crt_pem) return std::unexpected(std::move(crt_pem.error()).within("certificate"));
  auto key_pem = read_file(key, kPemBytesMax);
  if (!key_pem) return std::unexpected(std::move(key_pem.error()).within("private key"));

  const Crt crt;
  const gnutls_datum_t crt_datum = datum_of(*crt_pem);
  const gnutls_datum_t key_datum = datum_of(*key_pem);
  int rc = gnutls_x509_crt_import(crt.get, &crt_datum, GNUTLS_X509_FMT_PEM);
  if (rc < 0) return fail("certificate {}: {}", certificate.string(), gnutls_strerror(rc));
  if (auto status = check_dates(crt, certificate.string(), now); !status) {
    return std::unexpected(std::move(status.error()));
  }

  auto impl = std::make_unique<Impl>();
  impl->expires = wall_time(gnutls_x509_crt_get_expiration_time(crt.get));
  rc = gnutls_certificate_allocate_credentials(&impl->certificate);
  if (rc < 0) return fail("TLS credentials: {}", gnutls_strerror(rc));
  rc = gnutls_certificate_set_x509_key_mem2(impl->certificate, &crt_datum, &key_datum,
                                            GNUTLS_X509_FMT_PEM, nullptr, 0);
  if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
    return fail("private key {} does not belong to certificate {}", key.string(),
                certificate.string());
  }
  if (rc < 0) return fail("private key {}: {}", key.string(), gnutls_strerror(rc));
  rc = gnutls_priority_init(&impl->priority, kPriority, nullptr);
  if (rc < 0) return fail("TLS priority: {}", gnutls_strerror(rc));
  rc = gnutls_session_ticket_key_generate(&impl->ticket_key);
  if (rc < 0) return fail("TLS ticket key: {}", gnutls_strerror(rc));
  return std::shared_ptr<TlsCredentials>(new TlsCredentials(std::move(impl)));
}

Result<std::shared_ptr<TlsCredentials>> TlsCredentials::load_or_generate(
    const std::filesystem::path& state_dir, const std::vector<std::string>& names, WallTime now) {
  const auto crt_path = state_dir / "tls-cert.pem";
  const auto key_path = state_dir / "tls-key.pem";
  if (auto kept = load(crt_path, key_path, now); kept && (*kept)->expires() > now + kRenewBefore) {
    const auto pem = read_file(crt_path, kPemBytesMax);
    if (pem && covers(*pem, names)) return kept;
  }
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error) {
    return fail("state directory {}: {}", state_dir.string(), error.message());
  }
  auto pem = generate(names, now);
  if (!pem) return std::unexpected(std::move(pem.error()).within("generated certificate"));
  // Key first: a crash in between leaves a pair that does not match, which is made anew.
  Status status = write_file(key_path, pem->key, 0600);
  if (status) status = write_file(crt_path, pem->certificate, 0644);
  if (!status) return std::unexpected(std::move(status.error()));
  return load(crt_path, key_path, now);
}

std::vector<std::string> TlsCredentials::local_names() {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0') {
    const std::string name(host.data());
    if (name != "localhost") names.push_back(name);
  }
  return names;
}

}  // namespace mirror::net
