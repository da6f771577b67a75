#include "admission/webhook.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "admission/notice.h"
#include "base/bounded_queue.h"
#include "base/rate_limit.h"
#include "base/thread_name.h"

namespace mirror::admission {
namespace {

using std::chrono::milliseconds;

// The thread is woken for each question; this only bounds how late anything else is seen.
constexpr milliseconds kTurnMax{200};
constexpr double kLinesBurst = 10;
constexpr double kLinesPerSecond = 1;

struct Asked {
  Question question;
  std::weak_ptr<Verdict> verdict;  // gone: nobody waits for it
  SteadyTime asked_at;
};

std::string fresh_id() {
  std::array<unsigned char, 16> bytes{};
  gnutls_rnd(GNUTLS_RND_NONCE, bytes.data(), bytes.size());
  std::string id;
  for (const unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

// One request under way. Belongs to the webhook's thread; stays where it is while libcurl knows it.
class Request {
 public:
  Request(CURLM* multi, Asked about, const WebhookSettings& settings, milliseconds left,
          WallTime now)
      : asked(std::move(about)), multi_(multi), easy_(curl_easy_init()) {
    if (easy_ == nullptr) return;
    body_ = notice_body(asked.question, fresh_id(), now);
    add_header("Content-Type: application/json");
    add_header("Expect:");  // the body is small: no question before it
    add_header("Mirror-Signature: " + signature_header(settings.secret, now, body_));
    set(CURLOPT_URL, settings.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a look-up that hangs holds nobody up
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
    set(CURLOPT_USERAGENT, "Mirror");
    set(CURLOPT_POSTFIELDS, body_.c_str());
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body_.size()));
    set(CURLOPT_HTTPHEADER, headers_);
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_WRITEFUNCTION, &Request::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PRIVATE, this);
    added_ = curl_multi_add_handle(multi_, easy_) == CURLM_OK;
  }
  ~Request() {
    if (added_) curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  bool under_way() const { return added_; }

  static Request* of(CURL* easy) {
    char* self = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &self);
    return reinterpret_cast<Request*>(self);
  }

  // Why the publisher is refused; nothing where it is let in. `failed`: nobody has decided that.
  std::optional<std::string> outcome(CURLcode result, bool& failed) const {
    failed = true;
    if (result == CURLE_OPERATION_TIMEDOUT) return "the webhook did not answer in time";
    if (result != CURLE_OK) {
      const char* why = error_[0] != '\0' ? error_.data() : curl_easy_strerror(result);
      return fmt::format("the webhook cannot be asked: {}", why);
    }
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    failed = !(status >= 200 && status < 300) && status != 401 && status != 403;
    return refusal_of(status, answer_);
  }

  const Asked asked;

 private:
  template <class T>
  void set(CURLoption option, T value) {
    curl_easy_setopt(easy_, option, value);
  }

  void add_header(const std::string& line) {
    if (curl_slist* more = curl_slist_append(headers_, line.c_str())) headers_ = more;
  }

  // What is beyond the limit is taken and forgotten; the time-out ends an answer without end.
  static std::size_t on_body(char* data, std::size_t /*one*/, std::size_t size, void* opaque) {
    auto& self = *static_cast<Request*>(opaque);
    const std::size_t room = Webhook::kAnswerBytesMax - self.answer_.size();
    self.answer_.append(data, std::min(size, room));
    return size;
  }

  CURLM* const multi_;
  CURL* const easy_;
  bool added_ = false;
  curl_slist* headers_ = nullptr;
  std::string body_;
  std::string answer_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

Counter& results(Metrics& metrics, const char* result) {
  return metrics.counter("mirror_admission_webhook_total",
                         "Publishers that the webhook was to judge, by how it ended.",
                         {{"result", result}});
}

}  // namespace

struct Webhook::Impl {
  Impl(WebhookSettings s, const Log& l, Metrics& m, const Clock& c)
      : settings(std::move(s)),
        log(l),
        clock(c),
        allowed(results(m, "allowed")),
        denied(results(m, "denied")),
        failed(results(m, "failed")),
        seconds(m.histogram("mirror_admission_webhook_seconds", "From asking to the verdict.", {},
                            {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30})) {}

  void run();
  void start_waiting(Instant now);
  void start(Asked asked, Instant now);
  void finish(Request& request, CURLcode result);
  void settle(const Asked& asked, std::optional<std::string> why, bool is_failure);
  void end_all();
  milliseconds left(const Asked& asked, Instant now) const {
    return settings.timeout - std::chrono::duration_cast<milliseconds>(now.steady - asked.asked_at);
  }

  const WebhookSettings settings;
  const Log& log;
  const Clock& clock;
  Counter& allowed;
  Counter& denied;
  Counter& failed;
  Histogram& seconds;

  BoundedQueue<Asked> queue{{.items = kWaitingMax, .weight = kWaitingMax}};
  std::atomic<bool> stopping{false};
  CURLM* multi = nullptr;  // woken from any thread, else "webhook" only, as all below
  std::list<Request> requests;
  RateLimit lines{kLinesBurst, kLinesPerSecond};
  std::int64_t lines_left_out = 0;

  std::thread thread;
};

Webhook::Webhook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Webhook>> Webhook::create(WebhookSettings settings, const Log& log,
                                                 Metrics& metrics, const Clock& clock) {
  // Once a process, before other threads use it; libcurl counts the calls.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return fail("libcurl does not start");
  auto impl = std::make_unique<Impl>(std::move(settings), log, metrics, clock);
  impl->multi = curl_multi_init();
  if (impl->multi == nullptr) return fail("libcurl has no memory");
  Impl* self = impl.get();
  impl->thread = std::thread([self] { self->run(); });
  return std::unique_ptr<Webhook>(new Webhook(std::move(impl)));
}

Webhook::~Webhook() {
  impl_->stopping = true;
  impl_->queue.close();
  curl_multi_wakeup(impl_->multi);
  impl_->thread.join();
  curl_multi_cleanup(impl_->multi);
  curl_global_cleanup();
}

bool Webhook::ask(Question question, std::shared_ptr<Verdict> verdict) {
  Asked asked{std::move(question), verdict, impl_->clock.now().steady};
  if (!impl_->queue.try_push(std::move(asked))) return false;
  curl_multi_wakeup(impl_->multi);
  return true;
}

void Webhook::Impl::run() {
  name_this_thread("webhook");
  while (!stopping) {
    start_waiting(clock.now());
    int running = 0;
    curl_multi_perform(multi, &running);
    int more = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &more)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode result = message->data.result;
      finish(*Request::of(message->easy_handle), result);
    }
    // What waits may be begun now that something has ended.
    if (queue.size() > 0 && requests.size() < kAtOnceMax) continue;
    curl_multi_poll(multi, nullptr, 0, static_cast<int>(kTurnMax.count()), nullptr);
  }
  end_all();
}

void Webhook::Impl::start_waiting(Instant now) {
  while (requests.size() < kAtOnceMax) {
    auto asked = queue.try_take();
    if (!asked) return;
    if (asked->verdict.expired()) continue;
    if (left(*asked, now) <= milliseconds::zero()) {
      settle(*asked, "the webhook had no time for it", true);
    } else {
      start(*std::move(asked), now);
    }
  }
}

void Webhook::Impl::start(Asked asked, Instant now) {
  const milliseconds time = left(asked, now);
  Request& request = requests.emplace_back(multi, std::move(asked), settings, time, now.wall);
  if (request.under_way()) return;
  settle(request.asked, "libcurl has no memory", true);
  requests.pop_back();
}

void Webhook::Impl::finish(Request& request, CURLcode result) {
  bool is_failure = false;
  std::optional<std::string> why = request.outcome(result, is_failure);
  settle(request.asked, std::move(why), is_failure);
  requests.remove_if([&](const Request& each) { return &each == &request; });
}

void Webhook::Impl::settle(const Asked& asked, std::optional<std::string> why, bool is_failure) {
  const SteadyTime now = clock.now().steady;
  (!why ? allowed : is_failure ? failed : denied).Increment();
  const std::chrono::duration<double> took = now - asked.asked_at;
  seconds.Observe(took.count());
  if (lines.take(now)) {
    const media::PublishRequest& request = asked.question.request;
    const auto write = why ? &Log::warning : &Log::info;
    (log.*write)("admission", why ? "publisher not admitted" : "publisher admitted",
                 {{"stream", request.key.text()},
                  {"remote", request.remote},
                  {"user", request.user},
                  {"why", why.value_or("")},
                  {"seconds", took.count()},
                  {"verdicts_not_logged", std::exchange(lines_left_out, 0)}});
  } else {
    ++lines_left_out;
  }
  const std::shared_ptr<Verdict> verdict = asked.verdict.lock();
  if (!verdict) return;
  if (why) {
    verdict->deny(*std::move(why));
  } else {
    verdict->allow();
  }
}

void Webhook::Impl::end_all() {
  for (const Request& request : requests) {
    settle(request.asked, "the server is shutting down", true);
  }
  requests.clear();
  while (const auto asked = queue.try_take()) {
    settle(*asked, "the server is shutting down", true);
  }
}

}  // namespace mirror::admission
