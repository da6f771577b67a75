#include "curl_fetcher.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mirror::lint {
namespace {

// Browsers send one; servers may answer with CORS headers only then.
constexpr const char* kOrigin = "Origin: https://mirror-lint.invalid";

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

// As RFC 8673 has it where the length is not known.
std::string range_text(const ByteRange& range) {
  constexpr std::uint64_t kFarEnd = 9'007'199'254'740'991;
  return fmt::format("{}-{}", range.offset,
                     range.length ? range.offset + *range.length - 1 : kFarEnd);
}

}  // namespace

struct CurlFetcher::Handles {
  std::unique_ptr<curl_slist, FreeList> request_headers;
  std::unique_ptr<CURLM, FreeMulti> multi;
};

struct CurlFetcher::Transfer {
  Exchange exchange;
  Seconds timeout{};
  Done done;
  const CurlFetcher* owner = nullptr;
  std::unique_ptr<CURL, FreeEasy> easy;
  bool too_long = false;

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    std::string& body = transfer.exchange.body;
    if (body.size() + size * count > kBodyMax) {
      transfer.too_long = true;
      return 0;
    }
    if (body.empty()) transfer.exchange.first_byte = transfer.owner->now();
    body.append(data, size * count);
    return size * count;
  }

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    Exchange& exchange = static_cast<Transfer*>(self)->exchange;
    const std::string_view line(data, size * count);
    constexpr std::size_t kHeadersMax = 256;
    if (line.starts_with("HTTP/")) exchange.headers.clear();  // of a redirection before it
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && colon > 0 && exchange.headers.size() < kHeadersMax) {
      exchange.headers.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
    }
    return size * count;
  }
};

Result<std::unique_ptr<CurlFetcher>> CurlFetcher::create(HttpVersion version,
                                                         Certificates certificates) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) return fail("libcurl cannot be initialised");
  if (version == HttpVersion::k2 &&
      (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) == 0) {
    return fail("this libcurl has no HTTP/2");
  }
  auto handles = std::make_unique<Handles>();
  handles->request_headers.reset(curl_slist_append(nullptr, kOrigin));
  handles->multi.reset(curl_multi_init());
  if (!handles->multi || !handles->request_headers) return fail("libcurl has no memory");
  CURLM* multi = handles->multi.get();
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, static_cast<long>(kInFlightMax));
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(kInFlightMax));
  return std::unique_ptr<CurlFetcher>(new CurlFetcher(version, certificates, std::move(handles)));
}

CurlFetcher::CurlFetcher(HttpVersion version, Certificates certificates,
                         std::unique_ptr<Handles> handles)
    : version_(version), certificates_(certificates), handles_(std::move(handles)) {}

CurlFetcher::~CurlFetcher() {
  for (const auto& [easy, transfer] : transfers_)
    curl_multi_remove_handle(handles_->multi.get(), easy);
}

Seconds CurlFetcher::now() const { return std::chrono::steady_clock::now() - epoch_; }

void CurlFetcher::start(Exchange exchange, Seconds timeout, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->exchange = std::move(exchange);
  transfer->timeout = timeout;
  transfer->done = std::move(done);
  transfer->owner = this;
  transfer->exchange.started = now();
  if (transfers_.size() < kInFlightMax) {
    begin(std::move(transfer));
  } else if (waiting_.size() < kWaitingMax) {
    waiting_.push_back(std::move(transfer));
  } else {
    transfer->exchange.error = "too many requests are waiting";
    refused_.push_back(std::move(transfer));
  }
}

void CurlFetcher::begin(std::unique_ptr<Transfer> transfer) {
  transfer->easy.reset(curl_easy_init());
  CURL* easy = transfer->easy.get();
  Exchange& exchange = transfer->exchange;
  exchange.started = now();
  const bool secure = exchange.url.starts_with("https:");
  const long version = version_ == HttpVersion::k11    ? CURL_HTTP_VERSION_1_1
                       : version_ == HttpVersion::kAny ? CURL_HTTP_VERSION_2TLS
                       : secure                        ? CURL_HTTP_VERSION_2TLS
                                                       : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  curl_easy_setopt(easy, CURLOPT_URL, exchange.url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, version_ == HttpVersion::k11 || !secure ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10'000L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(transfer->timeout.count() * 1000));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, handles_->request_headers.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  if (is_playlist(exchange.purpose)) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  if (exchange.range) curl_easy_setopt(easy, CURLOPT_RANGE, range_text(*exchange.range).c_str());
  if (certificates_ == Certificates::kIgnore) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (easy == nullptr || curl_multi_add_handle(handles_->multi.get(), easy) != CURLM_OK) {
    exchange.error = "libcurl does not take the request";
    refused_.push_back(std::move(transfer));
    return;
  }
  transfers_[easy] = std::move(transfer);
}

void CurlFetcher::finish(std::unique_ptr<Transfer> transfer, int result) {
  Exchange exchange = std::move(transfer->exchange);
  exchange.finished = now();
  if (CURL* easy = transfer->easy.get(); easy != nullptr) {
    long status = 0;
    long version = 0;
    char* url = nullptr;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    exchange.http_major = version >= CURL_HTTP_VERSION_3     ? 3
                          : version >= CURL_HTTP_VERSION_2_0 ? 2
                                                             : 1;
    exchange.status = result == CURLE_OK ? static_cast<int>(status) : 0;
    if (result != CURLE_OK) exchange.error = curl_easy_strerror(static_cast<CURLcode>(result));
    // References in a playlist are relative to where it was found at last.
    if (url != nullptr && exchange.purpose == Purpose::kMultivariant) exchange.url = url;
  }
  if (transfer->too_long) exchange.error = fmt::format("more than {} bytes", kBodyMax);
  const Done done = std::move(transfer->done);
  transfer.reset();
  done(std::move(exchange));
}

void CurlFetcher::finish_ended() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(handles_->multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const int result = message->data.result;
    const auto it = transfers_.find(easy);
    std::unique_ptr<Transfer> transfer = std::move(it->second);
    transfers_.erase(it);
    curl_multi_remove_handle(handles_->multi.get(), easy);
    finish(std::move(transfer), result);
  }
  while (!refused_.empty()) {
    std::unique_ptr<Transfer> transfer = std::move(refused_.front());
    refused_.pop_front();
    finish(std::move(transfer), CURLE_FAILED_INIT);
  }
  while (!waiting_.empty() && transfers_.size() < kInFlightMax) {
    std::unique_ptr<Transfer> transfer = std::move(waiting_.front());
    waiting_.pop_front();
    begin(std::move(transfer));
  }
}

void CurlFetcher::run(Seconds wait) {
  int running = 0;
  curl_multi_perform(handles_->multi.get(), &running);
  finish_ended();
  curl_multi_poll(handles_->multi.get(), nullptr, 0, static_cast<int>(wait.count() * 1000),
                  nullptr);
  curl_multi_perform(handles_->multi.get(), &running);
  finish_ended();
}

}  // namespace mirror::lint
