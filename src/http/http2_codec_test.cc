#include "http/http2_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "http/http2_exercise.h"
#include "http/prepared.h"
#include "http/scripted_carrier.h"

namespace mirror::http {
namespace {

using testing::HasSubstr;

// An nghttp2 client in memory.
class Client {
 public:
  struct Answer {
    std::map<std::string, std::string> headers;
    std::string body;
    bool closed = false;
    std::uint32_t error = 0;
  };

  Client() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* user) {
          auto& answer = static_cast<Client*>(user)->answers[frame->hd.stream_id];
          answer.headers[std::string(name, name + name_size)] =
              std::string(value, value + value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                      std::size_t size, void* user) {
          static_cast<Client*>(user)->answers[id].body.append(data, data + size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
          auto& answer = static_cast<Client*>(user)->answers[id];
          answer.closed = true;
          answer.error = error;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          if (frame->hd.type == NGHTTP2_GOAWAY) {
            static_cast<Client*>(user)->goaway = static_cast<int>(frame->goaway.error_code);
          }
          return 0;
        });
    nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, 0, nullptr, 0);
  }
  ~Client() { nghttp2_session_del(session); }

  std::int32_t request(const std::string& method, const std::string& path,
                       const std::string& body = "", const Headers& extra = {}) {
    std::vector<std::pair<std::string, std::string>> fields = {
        {":method", method}, {":path", path}, {":scheme", "https"}, {":authority", "h"}};
    for (const Header& header : extra) fields.emplace_back(header.name, header.value);
    std::vector<nghttp2_nv> list;
    list.reserve(fields.size());
    for (auto& [name, value] : fields) {
      list.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                      reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(), 0});
    }
    nghttp2_data_provider provider{};
    provider.source.ptr = this;
    provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t size,
                                std::uint32_t* flags, nghttp2_data_source* source,
                                void*) -> ssize_t {
      auto& data = static_cast<Client*>(source->ptr)->upload;
      const std::size_t n = std::min(size, data.size());
      std::copy_n(data.begin(), n, out);
      data.erase(0, n);
      if (data.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(n);
    };
    upload = body;
    return nghttp2_submit_request(session, nullptr, list.data(), list.size(),
                                  body.empty() ? nullptr : &provider, nullptr);
  }

  std::string take() {
    std::string text;
    const std::uint8_t* data = nullptr;
    for (ssize_t n = 0; (n = nghttp2_session_mem_send(session, &data)) > 0;) {
      text.append(data, data + n);
    }
    return text;
  }
  void give(const std::string& text) {
    const auto bytes = bytes_of(text);
    ASSERT_GE(nghttp2_session_mem_recv(session, bytes.data(), bytes.size()), 0);
  }

  nghttp2_session* session = nullptr;
  std::map<std::int32_t, Answer> answers;
  std::string upload;
  int goaway = -1;
};

class Http2 : public testing::Test {
 protected:
  Http2() { codec = Http2Codec::create(carrier).value(); }

  // Until neither has anything to say; in pieces of random size.
  void exchange() {
    for (;;) {
      std::string up = client.take();
      const bool quiet = up.empty();
      for (std::string_view left = up; !left.empty();) {
        const std::size_t n = std::min<std::size_t>(left.size(), 1 + random() % 300);
        codec->receive(bytes_of(left.substr(0, n)));
        left.remove_prefix(n);
      }
      const std::string down = take_output(*codec);
      if (down.empty() && quiet) return;
      client.give(down);
    }
  }

  ScriptedCarrier carrier;
  Client client;
  std::unique_ptr<Http2Codec> codec;
  std::minstd_rand random{7};
};

std::shared_ptr<const Prepared> prepared(const std::string& body) {
  return std::make_shared<const Prepared>(
      200, Headers{{"etag", "\"" + body.substr(0, 40) + "\""}, {"cache-control", "max-age=6"}},
      std::vector{Bytes::take(body.substr(0, body.size() / 2)),
                  Bytes::take(body.substr(body.size() / 2))});
}

TEST_F(Http2, AnswersManyStreams) {
  std::vector<std::int32_t> ids;
  ids.reserve(50);
  for (int i = 0; i < 50; ++i) ids.push_back(client.request("GET", "/a" + std::to_string(i)));
  exchange();
  for (int i = 0; i < 50; ++i) {
    const auto& answer = client.answers[ids[static_cast<std::size_t>(i)]];
    EXPECT_EQ(answer.body, "/a" + std::to_string(i) + "|");
    EXPECT_EQ(answer.headers.at("content-length"), std::to_string(answer.body.size()));
    EXPECT_TRUE(answer.closed);
  }
  EXPECT_EQ(codec->streams(), 0u);
  EXPECT_EQ(codec->phase(), Codec::Phase::kIdle);
}

// RFC 7838 3: on every answer, so that whichever comes first tells of HTTP/3.
TEST_F(Http2, AltSvcWhereThereIsHttp3) {
  const auto before = client.request("GET", "/a");
  exchange();
  EXPECT_EQ(client.answers[before].headers.count("alt-svc"), 0u);
  carrier.limits_.alt_svc = R"(h3=":8443"; ma=86400)";
  const auto plain = client.request("GET", "/a");
  const auto shared = client.request("GET", "/later");
  const auto growing = client.request("GET", "/grow");
  exchange();
  carrier.held.front()->exchange.respond(prepared("body"));
  exchange();
  for (const auto id : {plain, shared, growing}) {
    EXPECT_EQ(client.answers[id].headers.at("alt-svc"), carrier.limits_.alt_svc);
  }
}

TEST_F(Http2, LaterAndGrowing) {
  const auto later = client.request("GET", "/later");
  const auto grow = client.request("GET", "/grow");
  const auto head = client.request("HEAD", "/abc");
  exchange();
  EXPECT_EQ(client.answers[grow].body, "first ");
  EXPECT_EQ(client.answers[head].headers.at("content-length"), "5");
  EXPECT_TRUE(client.answers[head].closed);
  EXPECT_EQ(carrier.held.size(), 2u);
  carrier.answer_held();
  exchange();
  EXPECT_EQ(client.answers[later].body, "later");
  EXPECT_EQ(client.answers[grow].body, "first second");
  EXPECT_TRUE(client.answers[grow].closed);
  EXPECT_TRUE(carrier.held.empty());
}

TEST_F(Http2, ALargeBodyGoesThroughTheWindow) {
  const auto id = client.request("GET", "/later");
  exchange();
  carrier.held.front()->exchange.respond(
      {200, {}, {Bytes::take(std::string(700'000, 'x')), Bytes::take(std::string(300'001, 'y'))}});
  exchange();
  EXPECT_EQ(client.answers[id].body, std::string(700'000, 'x') + std::string(300'001, 'y'));
}

TEST_F(Http2, APreparedAnswerForManyStreams) {
  const auto answer = prepared(std::string(3000, 'p'));
  std::vector<std::int32_t> ids;
  ids.reserve(20);
  for (int i = 0; i < 20; ++i) ids.push_back(client.request("GET", "/later"));
  const auto head = client.request("HEAD", "/later");
  exchange();
  const Header cors{"access-control-allow-origin", "https://a"};
  for (auto* held : carrier.held) held->exchange.respond(answer, {&cors, 1});
  exchange();
  for (const auto id : ids) {
    EXPECT_EQ(client.answers[id].body, std::string(3000, 'p'));
    EXPECT_EQ(client.answers[id].headers.at(":status"), "200");
    EXPECT_EQ(client.answers[id].headers.at("content-length"), "3000");
    EXPECT_EQ(client.answers[id].headers.at("etag"), *answer->etag());
    EXPECT_EQ(client.answers[id].headers.at("date"), carrier.date());
    EXPECT_EQ(client.answers[id].headers.at(cors.name), cors.value);
    EXPECT_TRUE(client.answers[id].closed);
  }
  EXPECT_EQ(client.answers[head].body, "");
  EXPECT_EQ(client.answers[head].headers.at("content-length"), "3000");
  EXPECT_EQ(answer.use_count(), 1);
}

// Its head points into the answer; the stream is gone before the head has left.
TEST_F(Http2, APreparedAnswerToAStreamThatIsResetBeforeItIsSent) {
  const auto id = client.request("GET", "/later");
  exchange();
  carrier.held.front()->exchange.respond(prepared(std::string(3000, 'p')));
  nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL);
  codec->receive(bytes_of(client.take()));
  EXPECT_EQ(codec->streams(), 0u);
  const auto next = client.request("GET", "/abc");
  exchange();
  EXPECT_EQ(client.answers[id].headers.count(":status"), 0u);
  EXPECT_EQ(client.answers[next].body, "/abc|");
}

TEST_F(Http2, AResetFreesTheExchangeAtOnce) {
  const auto id = client.request("GET", "/leave");
  const auto other = client.request("GET", "/leave");
  exchange();
  EXPECT_EQ(carrier.held.size(), 2u);
  nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL);
  const std::string up = client.take();
  codec->receive(bytes_of(up));
  EXPECT_EQ(carrier.held.size(), 1u);
  EXPECT_EQ(codec->streams(), 1u);
  EXPECT_FALSE(client.answers[other].closed);
}

TEST_F(Http2, AnAnswerThatThePeerNeverTakesIsCancelled) {
  const nghttp2_settings_entry closed{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  nghttp2_submit_settings(client.session, 0, &closed, 1);
  exchange();
  const auto stuck = client.request("GET", "/abc");
  const auto growing = client.request("GET", "/grow");
  const auto held = client.request("GET", "/leave");
  exchange();
  EXPECT_EQ(codec->end_stalled(), 0u);
  carrier.time += carrier.limits_.write_timeout + std::chrono::milliseconds(1);
  EXPECT_EQ(codec->end_stalled(), 2u);
  EXPECT_EQ(codec->end_stalled(), 0u);
  exchange();
  EXPECT_EQ(client.answers[stuck].error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
  EXPECT_EQ(client.answers[growing].error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
  EXPECT_FALSE(client.answers[held].closed);
  EXPECT_EQ(codec->streams(), 1u);
  EXPECT_EQ(carrier.held.size(), 1u);
}

TEST_F(Http2, AbortIsSeenAsAnError) {
  const auto id = client.request("GET", "/grow");
  exchange();
  carrier.held.front()->exchange.abort();
  exchange();
  EXPECT_EQ(client.answers[id].error, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
  EXPECT_TRUE(carrier.held.empty());
}

TEST_F(Http2, BodiesUpToTheLimit) {
  const auto fits = client.request("POST", "/p", std::string(60'000, 'b'));
  exchange();
  EXPECT_EQ(client.answers[fits].body, "/p|" + std::string(60'000, 'b'));
  const auto large = client.request("POST", "/p", std::string(200'000, 'b'));
  exchange();
  EXPECT_EQ(client.answers[large].headers.at(":status"), "413");
  EXPECT_EQ(codec->streams(), 0u);
}

TEST_F(Http2, FaultsHaveWords) {
  const std::pair<std::string, std::string> table[] = {
      {"/%zz", "400 Bad Request: bad percent-encoding"}, {"/a%00", "control character"}};
  for (const auto& [path, words] : table) {
    const auto id = client.request("GET", path);
    exchange();
    EXPECT_THAT(client.answers[id].body, HasSubstr(words));
  }
  const auto method = client.request("BREW", "/");
  const auto fields = client.request("GET", "/", "", {{"a", std::string(20'000, 'a')}});
  const auto target = client.request("GET", "/" + std::string(9'000, 'a'));
  exchange();
  EXPECT_EQ(client.answers[method].headers.at(":status"), "501");
  EXPECT_EQ(client.answers[fields].headers.at(":status"), "431");
  EXPECT_EQ(client.answers[target].headers.at(":status"), "414");
}

TEST_F(Http2, RapidResetIsToldToCalmDown) {
  for (int i = 0; i < 2000 && client.goaway < 0; ++i) {
    const auto id = client.request("GET", "/leave");
    exchange();
    nghttp2_submit_rst_stream(client.session, 0, id, NGHTTP2_CANCEL);
    exchange();
  }
  EXPECT_EQ(client.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(carrier.held.empty());
  EXPECT_TRUE(codec->finished());
}

TEST_F(Http2, PingFloodIsToldToCalmDown) {
  for (int i = 0; i < 5000 && client.goaway < 0; ++i) {
    nghttp2_submit_ping(client.session, 0, nullptr);
    exchange();
  }
  EXPECT_EQ(client.goaway, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(codec->finished());
}

TEST_F(Http2, DrainAnswersWhatIsHeldAndEnds) {
  const auto id = client.request("GET", "/later");
  exchange();
  codec->drain();
  exchange();
  EXPECT_EQ(client.goaway, NGHTTP2_NO_ERROR);
  EXPECT_FALSE(codec->finished());
  carrier.answer_held();
  exchange();
  EXPECT_EQ(client.answers[id].body, "later");
  EXPECT_TRUE(codec->finished());
}

TEST_F(Http2, AWriterThatIgnoresTheLimitIsAborted) {
  carrier.limits_.queued_bytes_per_connection_max = 100'000;
  const auto id = client.request("GET", "/grow");
  exchange();
  Exchange& exchange_of_it = carrier.held.front()->exchange;
  for (int i = 0; i < 200; ++i) exchange_of_it.write(Bytes::take(std::string(1000, 'x')));
  exchange();
  EXPECT_EQ(client.answers[id].error, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
}

TEST_F(Http2, AWriterIsToldOnceWhenItsQueueIsShortEnough) {
  client.request("GET", "/grow");
  exchange();
  Exchange& exchange_of_it = carrier.held.front()->exchange;
  // More than the peer's window takes at once.
  exchange_of_it.write(Bytes::take(std::string(100'000, 'x')));
  exchange_of_it.tell_below(50'000);
  EXPECT_EQ(carrier.times_writable, 0) << "never from within";
  exchange();
  EXPECT_EQ(carrier.times_writable, 1);
  EXPECT_LT(exchange_of_it.queued_bytes(), 50'000u);
  exchange_of_it.tell_below(50'000);
  exchange();
  EXPECT_EQ(carrier.times_writable, 2);
}

TEST_F(Http2, GarbageEndsTheConnection) {
  codec->receive(bytes_of("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  take_output(*codec);
  EXPECT_TRUE(codec->finished());
}

TEST_F(Http2, TheFirstSettingsAreDueInTime) {
  EXPECT_EQ(codec->phase(), Codec::Phase::kHead);
  carrier.time += std::chrono::seconds(3);
  EXPECT_EQ(carrier.time - codec->phase_since(), std::chrono::seconds(3));
}

TEST(Http2Corpus, Replays) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MIRROR_FUZZ_CORPUS "/http2")) {
    SCOPED_TRACE(entry.path());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    exercise_http2(bytes_of(text));
    ++inputs;
  }
  EXPECT_GT(inputs, 5);
}

}  // namespace
}  // namespace mirror::http
