// Both sides of HTTP/3, joined in memory: what one says the other understands, however it is cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "http/http3_client.h"
#include "http/http3_script.h"
#include "http/http3_session.h"
#include "http/prepared.h"
#include "http/scripted_carrier.h"
#include "http/scripted_transport.h"
#include "http/webtransport.h"

namespace mirror::http {
namespace {

using quic::StreamId;

struct Got {
  int status = 0;
  std::map<std::string, std::string> fields;
  std::string body;
  bool ended = false;
  std::optional<std::uint64_t> failed;
};

struct Recorder final : Http3Client::Events {
  void on_head(StreamId stream, int status, const Headers& headers) override {
    got[stream].status = status;
    for (const Header& header : headers) got[stream].fields[header.name] = header.value;
  }
  void on_body(StreamId stream, std::span<const std::uint8_t> bytes) override {
    got[stream].body.append(bytes.begin(), bytes.end());
  }
  void on_end(StreamId stream) override { got[stream].ended = true; }
  void on_failed(StreamId stream, std::uint64_t error) override { got[stream].failed = error; }
  void on_promise(StreamId stream, std::uint64_t push, const Request& request) override {
    promises[push] = {stream, request};
  }
  void on_push(std::uint64_t push, StreamId stream) override { pushes[push] = stream; }
  void on_push_cancelled(std::uint64_t push) override { cancelled.insert(push); }
  void on_goaway(StreamId first) override { goaway = first; }

  std::map<StreamId, Got> got;
  std::map<std::uint64_t, std::pair<StreamId, Request>> promises;
  std::map<std::uint64_t, StreamId> pushes;
  std::set<std::uint64_t> cancelled;
  std::optional<StreamId> goaway;
};

// A client, a server and what is between them.
struct Pair {
  explicit Pair(unsigned seed = 1) : link(client_end, server_end, seed) {
    server = std::make_unique<Http3Session>(carrier, server_end);
    client = std::make_unique<Http3Client>(client_end, client_limits, events);
  }
  void open() {
    link.join(*client, *server);
    run();
  }
  bool step() {
    const bool moved = link.move();
    server->pump();
    client->pump();
    return moved;
  }
  void run() {
    for (int i = 0; i < 100'000 && step(); ++i) {
    }
  }

  Limits client_limits;
  ScriptedCarrier carrier;
  ScriptedTransport client_end{ScriptedTransport::Side::kClient};
  ScriptedTransport server_end{ScriptedTransport::Side::kServer};
  JoinedTransports link;
  Recorder events;
  std::unique_ptr<Http3Session> server;
  std::unique_ptr<Http3Client> client;
};

TEST(Http3Joined, AsksAndAnswers) {
  Pair pair;
  pair.open();
  EXPECT_TRUE(pair.client->settings_seen());
  const auto a = *pair.client->request("GET", "h", "/a?b", {{"accept", "*/*"}});
  const auto b = *pair.client->request("POST", "h", "/b", {}, Bytes::take(std::string(5000, 'b')));
  const auto c = *pair.client->request("HEAD", "h", "/c");
  pair.run();
  EXPECT_EQ(pair.events.got[a].body, "/a|");
  EXPECT_EQ(pair.events.got[b].body, "/b|" + std::string(5000, 'b'));
  EXPECT_EQ(pair.events.got[c].fields["content-length"], "3");
  for (const auto id : {a, b, c}) EXPECT_TRUE(pair.events.got[id].ended);
  EXPECT_EQ(pair.server->requests(), 0u);
  EXPECT_EQ(pair.client->open_requests(), 0u);
}

// What a request of the mix is to come to.
struct Expected {
  std::string path;
  int status = 0;
  std::size_t body = 0;
  std::uint64_t failure = 0;
  bool cancelled = false;
};

// 10,000 requests, right and wrong, on connections of 500 with slow and quick readers.
TEST(Http3Joined, ARandomMix) {
  std::minstd_rand random{20'261'122};
  const auto shared = std::make_shared<const Prepared>(
      200, Headers{{"etag", "\"x\""}}, std::vector{Bytes::take(std::string(20'000, 's'))});
  int asked = 0;
  int failed = 0;
  for (unsigned connection = 0; connection < 20; ++connection) {
    Pair pair(connection);
    pair.link.forget = true;
    pair.link.piece_max = 1 + random() % 3000;
    pair.server_end.window = random() % 3 == 0 ? 200 : 100'000;
    pair.carrier.handler = [&](const Request& request, Exchange& exchange) {
      if (!request.path.starts_with("/shared")) return false;
      exchange.respond(shared);
      return true;
    };
    pair.open();
    std::map<StreamId, Expected> expected;
    for (int i = 0; i < 500;) {
      const auto ask = [&](Expected want, std::string_view method, std::string_view target,
                           const Headers& headers = {}, std::string body = {}) {
        const auto id =
            pair.client->request(method, "h", target, headers, Bytes::take(std::move(body)));
        ASSERT_TRUE(id);
        want.path = target;
        expected[*id] = std::move(want);
        if (expected[*id].cancelled) pair.client->cancel(*id);
        ++i;
      };
      const std::string size(random() % 3000, 'u');
      switch (random() % 14) {
        case 0:
          ask({.status = 200, .body = 20'000}, "GET", "/shared");
          break;
        case 1:
          ask({.status = 200}, "HEAD", "/shared");
          break;
        case 2:
          ask({.status = 200, .body = 3 + size.size()}, "POST", "/p", {}, size);
          break;
        case 3:
          ask({.status = 200, .body = 5}, "GET", "/later", {{"priority", "u=1, i"}});
          break;
        case 4:
          ask({.status = 200, .body = 12}, "GET", "/grow");
          break;
        case 5:
          ask({.cancelled = true}, "GET", "/leave");
          break;
        case 6:
          ask({.failure = h3::error::kMessage}, "GET", "/x", {{"te", "gzip"}});
          break;
        case 7:
          ask({.failure = h3::error::kMessage}, "POST", "/x", {{"content-length", "1"}}, "two");
          break;
        case 8:
          ask({.failure = h3::error::kMessage}, "GET", "/x", {{"connection", "close"}});
          break;
        case 9:
          ask({.status = 501}, "BREW", "/pot");
          break;
        case 10:
          ask({.status = 400}, "GET", "/%zz");
          break;
        case 11:
          ask({.status = 431}, "GET", "/x", {{"a", std::string(17'000, 'a')}});
          break;
        case 12:
          ask({.status = 413}, "POST", "/x", {}, std::string(70'000, 'x'));
          break;
        case 13:
          ask({.failure = h3::error::kMessage}, "GET", "/x", {{"a", "b\nc"}});
          break;
      }
      for (auto steps = random() % 6; steps > 0; --steps) pair.step();
      while (pair.client->open_requests() > 50) {
        pair.step();
        if (random() % 2 == 0) pair.carrier.answer_held();
      }
      pair.server_end.time += std::chrono::milliseconds(20);
      pair.server->check_timeouts();
    }
    for (int i = 0; i < 100'000; ++i) {
      pair.carrier.answer_held();
      if (!pair.step() && pair.carrier.held.empty()) break;
    }
    ASSERT_FALSE(pair.server_end.closed_with) << pair.server_end.close_reason;
    ASSERT_FALSE(pair.client_end.closed_with) << pair.client_end.close_reason;
    for (const auto& [id, want] : expected) {
      const Got& got = pair.events.got[id];
      ++asked;
      if (want.cancelled) {
        EXPECT_FALSE(got.ended);
      } else if (want.failure != 0) {
        ++failed;
        EXPECT_EQ(got.failed, want.failure) << want.path;
      } else {
        EXPECT_EQ(got.status, want.status) << want.path;
        EXPECT_TRUE(got.ended) << want.path << " " << got.failed.value_or(0);
        if (want.body > 0) {
          EXPECT_EQ(got.body.size(), want.body) << want.path;
        }
      }
    }
    EXPECT_EQ(pair.server->requests(), 0u);
    EXPECT_EQ(pair.client->open_requests(), 0u);
    EXPECT_TRUE(pair.carrier.held.empty());
  }
  EXPECT_EQ(asked, 10'000);
  EXPECT_GT(failed, 1000);
}

// A reader that takes a little at a time is written to as it reads, and no further ahead.
TEST(Http3Joined, ASlowReaderHoldsTheWriterBack) {
  struct Writer final : Exchange::Attachment {
    explicit Writer(Exchange& which) : exchange(which) {}
    void on_writable() override {
      while (left > 0 && exchange.queued_bytes() < Exchange::kQueuedBytesHigh) {
        exchange.write(Bytes::take(std::string(10'000, 'g')));
        left -= 10'000;
      }
      if (left == 0) exchange.finish();
    }
    Exchange& exchange;
    std::size_t left = 3'000'000;
  };
  Pair pair;
  pair.link.piece_max = 20'000;
  pair.carrier.handler = [](const Request&, Exchange& exchange) {
    exchange.start(200, {});
    auto writer = std::make_unique<Writer>(exchange);
    Writer* raw = writer.get();
    exchange.attach(std::move(writer));
    raw->on_writable();
    return true;
  };
  pair.open();
  const auto id = *pair.client->request("GET", "h", "/");
  std::size_t most = 0;
  while (pair.step()) most = std::max(most, pair.server_end.queued_bytes());
  EXPECT_EQ(pair.events.got[id].body.size(), 3'000'000u);
  EXPECT_TRUE(pair.events.got[id].ended);
  EXPECT_LT(most, Exchange::kQueuedBytesHigh + 20'000);
}

TEST(Http3Joined, DrainIsHeardOf) {
  Pair pair;
  pair.open();
  const auto id = *pair.client->request("GET", "h", "/later");
  pair.run();
  pair.server->drain();
  pair.run();
  EXPECT_EQ(pair.events.goaway, (StreamId{1} << 62) - 4);
  pair.server_end.time += Http3Session::kGoawayGrace;
  pair.server->check_timeouts();
  pair.run();
  EXPECT_EQ(pair.events.goaway, 4);
  EXPECT_FALSE(pair.client->request("GET", "h", "/"));
  pair.carrier.answer_held();
  pair.run();
  EXPECT_TRUE(pair.events.got[id].ended);
  EXPECT_EQ(pair.server_end.closed_with, h3::error::kNone);
}

// ---- Push (RFC 9114 4.6) ---------------------------------------------------------------------

class Http3Push : public testing::Test {
 protected:
  Http3Push() {
    answer = std::make_shared<const Prepared>(200, Headers{{"etag", "\"p\""}},
                                              std::vector{Bytes::take(std::string(3000, 'p'))});
    promise.authority = "h";
    promise.path = "/part 1.mp4";
    promise.query = "x=1";
    promise.headers = {{"accept", "*/*"}};
  }
  void ask() {
    pair.open();
    id = *pair.client->request("GET", "h", "/leave");
    pair.run();
    exchange = &pair.carrier.held.front()->exchange;
  }

  Pair pair;
  std::shared_ptr<const Prepared> answer;
  Request promise;
  StreamId id = 0;
  Exchange* exchange = nullptr;
};

TEST_F(Http3Push, ArrivesBehindItsPromise) {
  pair.client->allow_pushes(8);
  ask();
  int pushed = 0;
  while (exchange->push(promise, answer)) ++pushed;
  EXPECT_EQ(pushed, 9);  // inclusive
  pair.run();
  ASSERT_EQ(pair.events.promises.size(), 9u);
  EXPECT_EQ(pair.events.promises[0].first, id);
  EXPECT_EQ(pair.events.promises[0].second.path, "/part%201.mp4?x=1");
  EXPECT_EQ(pair.events.promises[0].second.authority, "h");
  ASSERT_EQ(pair.events.pushes.size(), 9u);
  for (const auto& [push, stream] : pair.events.pushes) {
    EXPECT_EQ(pair.events.got[stream].body, std::string(3000, 'p'));
    EXPECT_EQ(pair.events.got[stream].fields["etag"], "\"p\"");
    EXPECT_TRUE(pair.events.got[stream].ended);
  }
  pair.client->allow_pushes(9);
  pair.run();
  EXPECT_TRUE(exchange->push(promise, answer));
  exchange->respond(Response::text(200, "end"));
  EXPECT_FALSE(exchange->push(promise, answer));
  pair.run();
  EXPECT_EQ(pair.events.got[id].body, "end");
  EXPECT_EQ(pair.events.pushes.size(), 10u);
  EXPECT_FALSE(pair.client_end.closed_with) << pair.client_end.close_reason;
}

TEST_F(Http3Push, NobodyIsPushedToUnasked) {
  ask();
  EXPECT_FALSE(exchange->push(promise, answer));
  pair.client->allow_pushes(100);
  pair.run();
  promise.method = Method::kPost;
  EXPECT_FALSE(exchange->push(promise, answer));
  promise.method = Method::kGet;
  promise.authority.clear();
  EXPECT_FALSE(exchange->push(promise, answer));
  promise.authority = "h";
  pair.server_end.uni_left = 0;
  EXPECT_FALSE(exchange->push(promise, answer));
  EXPECT_EQ(pair.carrier.drops, 1);
}

TEST_F(Http3Push, AreBounded) {
  pair.carrier.limits_.pushes_max = 5;
  pair.client->allow_pushes(1000);
  ask();
  int pushed = 0;
  while (exchange->push(promise, answer)) ++pushed;
  EXPECT_EQ(pushed, 5);
  pair.run();
  EXPECT_TRUE(exchange->push(promise, answer));
}

TEST_F(Http3Push, CanBeCancelled) {
  pair.client->allow_pushes(8);
  pair.server_end.window = 10;
  ask();
  ASSERT_TRUE(exchange->push(promise, answer));
  pair.step();
  pair.client->cancel_push(0);
  pair.run();
  ASSERT_EQ(pair.events.pushes.size(), 1u);
  EXPECT_EQ(pair.events.got[pair.events.pushes[0]].failed, h3::error::kRequestCancelled);
  EXPECT_FALSE(pair.server_end.closed_with);
}

TEST_F(Http3Push, ThatNobodyTakesAreCancelled) {
  pair.client->allow_pushes(8);
  ask();
  pair.run();
  pair.server_end.window = 0;
  ASSERT_TRUE(exchange->push(promise, answer));
  std::size_t ended = 0;
  for (int i = 0; i < 4; ++i) {
    ended += pair.server->check_timeouts().write;
    pair.server_end.time += std::chrono::seconds(11);
  }
  EXPECT_EQ(ended, 2u) << "the push, and the request with its promise";
  const auto reset = std::ranges::count_if(pair.server_end.streams, [](const auto& entry) {
    return entry.second.reset == h3::error::kRequestCancelled;
  });
  EXPECT_EQ(reset, 2);
}

TEST_F(Http3Push, AClientThatGoesTakesNoMore) {
  pair.client->allow_pushes(8);
  ask();
  const auto goaway = h3::make_frame(h3::frame::kGoaway, h3::varint(1));
  pair.server->on_stream_data(2, bytes_of(goaway), false);
  EXPECT_TRUE(exchange->push(promise, answer));
  EXPECT_FALSE(exchange->push(promise, answer));
}

// ---- What a server can break ------------------------------------------------------------------

TEST(Http3ClientBreaches, EachIsToldItsError) {
  using namespace h3;
  namespace e = h3::error;
  const std::string ok = headers({{":status", "200"}});
  const std::string promise =
      varint(0) +
      section({{":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/p"}});
  struct Row {
    const char* clause;
    StreamId stream;
    std::string bytes;
    bool fin;
    std::uint64_t connection_error;
    std::uint64_t stream_error = 0;
  };
  const Row rows[] = {
      {"4.1 DATA before HEADERS", 0, data("x"), false, e::kFrameUnexpected},
      {"4.1 no answer", 0, "", true, 0, e::kMessage},
      {"4.1.2 less than content-length", 0, headers({{":status", "200"}, {"content-length", "3"}}),
       true, 0, e::kMessage},
      {"4.1.2 more than content-length", 0,
       headers({{":status", "200"}, {"content-length", "1"}}) + data("ab"), false, 0, e::kMessage},
      {"4.3.2 no status", 0, headers({{"a", "b"}}), false, 0, e::kMessage},
      {"4.3.2 a status that is none", 0, headers({{":status", "2x0"}}), false, 0, e::kMessage},
      {"4.3 of a request", 0, headers({{":status", "200"}, {":path", "/"}}), false, 0, e::kMessage},
      {"4.2 connection", 0, headers({{":status", "200"}, {"connection", "x"}}), false, 0,
       e::kMessage},
      {"6.1 a request by the server", 1, ok, false, e::kStreamCreation},
      {"6.2.1 a second control stream", 7, control(), false, e::kStreamCreation},
      {"6.2.1 control stream closed", 3, "", true, e::kClosedCriticalStream},
      {"7.1 within a frame", 0, ok + std::string("\x00\x05x", 3), true, e::kFrame},
      {"7.2.4 a second SETTINGS", 3, settings(), false, e::kFrameUnexpected},
      {"7.2.5 a promise above the limit", 0,
       make_frame(frame::kPushPromise, varint(9) + promise.substr(1)), false, e::kId},
      {"7.2.5 one id, two requests", 0,
       make_frame(frame::kPushPromise, promise) +
           make_frame(frame::kPushPromise, varint(0) + section({{":method", "GET"},
                                                                {":scheme", "https"},
                                                                {":authority", "h"},
                                                                {":path", "/q"}})),
       false, e::kGeneralProtocol},
      {"4.6 a push above the limit", 7, varint(1) + varint(5), false, e::kId},
      {"7.2.6 GOAWAY of no request", 3, make_frame(frame::kGoaway, varint(1)), false, e::kId},
      {"7.2.7 MAX_PUSH_ID by a server", 3, make_frame(frame::kMaxPushId, varint(1)), false,
       e::kFrameUnexpected},
      {"7.2.3 CANCEL_PUSH above the limit", 3, make_frame(frame::kCancelPush, varint(7)), false,
       e::kId},
      {"RFC 9218 PRIORITY_UPDATE by a server", 3,
       make_frame(frame::kPriorityUpdateRequest, varint(0)), false, e::kFrameUnexpected},
      {"RFC 9204 an insertion", 7, varint(2) + "\x41", false, e::kQpackEncoderStream},
      {"RFC 9204 no field section", 0, make_frame(frame::kHeaders, std::string("\x02\x00\x80", 3)),
       false, e::kQpackDecompressionFailed},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.clause);
    ScriptedTransport transport(ScriptedTransport::Side::kClient);
    Recorder events;
    Http3Client client(transport, {}, events);
    client.on_open();
    client.allow_pushes(3);
    client.on_stream_data(3, bytes_of(control()), false);
    ASSERT_EQ(client.request("GET", "h", "/"), 0);
    for (const char& c : row.bytes) client.on_stream_data(row.stream, bytes_of({&c, 1}), false);
    if (row.fin) client.on_stream_data(row.stream, {}, true);
    if (row.connection_error != 0) {
      EXPECT_EQ(transport.closed_with, row.connection_error)
          << h3::name_of_error(transport.closed_with.value_or(0));
    } else {
      EXPECT_FALSE(transport.closed_with) << transport.close_reason;
      EXPECT_EQ(events.got[0].failed, row.stream_error);
    }
  }
}

// ---- WebTransport ----------------------------------------------------------------------------

struct Heard {
  std::map<StreamId, std::string> streams;
  std::set<StreamId> finished;
  std::map<StreamId, std::uint32_t> resets;
  std::map<StreamId, std::uint32_t> stops;
  std::set<StreamId> closed_streams;
  std::vector<std::string> datagrams;
  std::optional<std::pair<std::uint32_t, std::string>> closed;
  bool gone = false;
};

struct Ear final : WebTransportSession::Observer {
  explicit Ear(Heard& into) : heard(into) {}
  ~Ear() override { heard.gone = true; }
  void on_stream_data(StreamId stream, std::span<const std::uint8_t> bytes, bool fin) override {
    heard.streams[stream].append(bytes.begin(), bytes.end());
    if (fin) heard.finished.insert(stream);
  }
  void on_stream_reset(StreamId stream, std::uint32_t code) override {
    heard.resets[stream] = code;
  }
  void on_stop_sending(StreamId stream, std::uint32_t code) override { heard.stops[stream] = code; }
  void on_stream_closed(StreamId stream) override { heard.closed_streams.insert(stream); }
  void on_datagram(std::span<const std::uint8_t> bytes) override {
    heard.datagrams.emplace_back(bytes.begin(), bytes.end());
  }
  void on_closed(std::uint32_t code, std::string_view reason) override {
    heard.closed = {code, std::string(reason)};
  }
  Heard& heard;
};

class WebTransport : public testing::Test {
 protected:
  WebTransport() {
    pair.carrier.handler = [this](const Request& request, Exchange& exchange) {
      at_server = exchange.webtransport();
      if (at_server == nullptr) return false;
      path = request.path;
      if (request.path == "/no") {
        exchange.respond(Response::text(403, "no"));
      } else if (request.path == "/careless") {
        exchange.respond(Response::text(200, "a page"));
      } else if (request.path == "/later") {
        exchange.attach(std::make_unique<ScriptedCarrier::Held>(pair.carrier, exchange));
      } else {
        at_server->accept(std::make_unique<Ear>(server));
      }
      return true;
    };
  }
  void connect(const std::string& target = "/push", const Headers& headers = {}) {
    if (!pair.client->settings_seen()) pair.open();
    id = pair.client->connect("h", target, std::make_unique<Ear>(client), headers).value();
    pair.run();
    at_client = pair.client->session(id);
  }

  Pair pair;
  Heard server;
  Heard client;
  WebTransportSession* at_server = nullptr;
  WebTransportSession* at_client = nullptr;
  std::string path;
  StreamId id = 0;
};

TEST_F(WebTransport, StreamsAndDatagramsBothWays) {
  connect();
  ASSERT_NE(at_client, nullptr);
  EXPECT_EQ(pair.events.got[id].status, 200);
  EXPECT_EQ(pair.events.got[id].fields["sec-webtransport-http3-draft"], "draft02");
  std::map<StreamId, std::string> from_server;
  std::map<StreamId, std::string> from_client;
  for (int i = 0; i < 20; ++i) {
    const std::string text = std::string(static_cast<std::size_t>(i * 137), 'a') + "!";
    const auto down =
        i % 2 == 0 ? at_server->open_unidirectional() : at_server->open_bidirectional();
    const auto up = i % 2 == 0 ? at_client->open_unidirectional() : at_client->open_bidirectional();
    at_server->send(*down, Bytes::take(text));
    at_server->finish(*down);
    at_client->send(*up, Bytes::take(text));
    at_client->finish(*up);
    from_server[*down] = text;
    from_client[*up] = text;
  }
  EXPECT_TRUE(at_server->send_datagram(bytes_of("down")));
  EXPECT_TRUE(at_client->send_datagram(bytes_of("up")));
  EXPECT_FALSE(at_client->send_datagram(bytes_of(std::string(5000, 'x'))));
  pair.run();
  EXPECT_EQ(client.streams, from_server);
  EXPECT_EQ(server.streams, from_client);
  EXPECT_EQ(server.finished.size(), 20u);
  EXPECT_EQ(client.datagrams, std::vector<std::string>{"down"});
  EXPECT_EQ(server.datagrams, std::vector<std::string>{"up"});
  // The other side of a bidirectional stream.
  for (const auto& [stream, text] : from_client) {
    if (quic::is_unidirectional(stream)) continue;
    at_server->send(stream, Bytes::take(std::string("answer")));
    at_server->finish(stream);
  }
  pair.run();
  EXPECT_EQ(client.streams.size(), 30u);
  EXPECT_EQ(client.closed_streams.size(), 30u);  // unidirectional ones, and those answered
  EXPECT_FALSE(pair.client_end.closed_with);
  EXPECT_FALSE(pair.server_end.closed_with);
}

TEST_F(WebTransport, ErrorCodesAreMapped) {
  connect();
  const auto up = *at_client->open_bidirectional();
  at_client->send(up, Bytes::take(std::string("x")));
  pair.run();
  at_client->reset(up, 30);
  at_client->stop_sending(up, 31);
  pair.run();
  EXPECT_EQ(server.resets[up], 30u);
  EXPECT_EQ(server.stops[up], 31u);
  const auto down = *at_server->open_unidirectional();
  at_server->send(down, Bytes::take(std::string(2, 'x')));
  pair.run();
  at_server->reset(down, 1000);  // draft-02 has eight bits
  pair.run();
  EXPECT_EQ(client.resets[down], 255u);
}

TEST_F(WebTransport, IsClosedByEitherSide) {
  for (const bool by_client : {false, true}) {
    server = client = {};
    connect();
    const auto down = *at_server->open_unidirectional();
    at_server->send(down, Bytes::take(std::string("x")));
    pair.run();
    (by_client ? at_client : at_server)->close(77, "enough");
    EXPECT_FALSE((by_client ? at_client : at_server)->open_unidirectional());
    pair.run();
    Heard& other = by_client ? server : client;
    EXPECT_EQ(other.closed, std::pair(77u, std::string("enough")));
    EXPECT_TRUE(server.gone);
    EXPECT_TRUE(client.gone);
    if (by_client) {
      EXPECT_EQ(pair.server_end.streams[down].reset, h3::error::kWebTransportSessionGone);
    }
    EXPECT_FALSE(pair.client_end.closed_with);
    EXPECT_FALSE(pair.server_end.closed_with);
    EXPECT_EQ(pair.server->requests(), 0u);
  }
}

TEST_F(WebTransport, CanBeRefused) {
  connect("/no");
  EXPECT_EQ(pair.events.got[id].status, 403);
  EXPECT_EQ(at_client, nullptr);
  connect("/careless");  // 200 by a handler that knows nothing of sessions
  EXPECT_EQ(pair.events.got[id].status, 404);
  connect("/push", {{"origin", "https://elsewhere"}});
  EXPECT_EQ(pair.events.got[id].status, 403);
  connect("/push", {{"origin", "https://h"}});
  EXPECT_EQ(pair.events.got[id].status, 200);
}

TEST_F(WebTransport, IsNotSeenByPlainRequests) {
  pair.open();
  id = *pair.client->request("GET", "h", "/push");
  pair.run();
  EXPECT_EQ(pair.events.got[id].body, "/push|");
  EXPECT_EQ(at_server, nullptr);
}

TEST_F(WebTransport, SessionsAreLimited) {
  pair.carrier.limits_.webtransport_sessions_max = 2;
  connect();
  connect();
  connect();
  EXPECT_EQ(pair.events.got[id].status, 429);
}

TEST_F(WebTransport, WhatComesBeforeItsSessionWaits) {
  pair.open();
  using h3::varint;
  // A stream of each kind for the CONNECT that comes as stream 8.
  const std::string uni = varint(0x54) + varint(8) + "early";
  const std::string bidi = varint(0x41) + varint(8) + "too";
  pair.server->on_stream_data(102, bytes_of(uni), true);
  pair.server->on_stream_closed(102);
  pair.server->on_stream_data(104, bytes_of(bidi), false);
  EXPECT_EQ(pair.server_end.streams[102].consumed, 3u);
  h3::Fields fields = h3::request_fields("CONNECT", "/later");
  fields.insert(fields.begin(), {":protocol", "webtransport"});
  pair.server->on_stream_data(8, bytes_of(h3::headers(fields)), false);
  pair.server->pump();
  EXPECT_TRUE(server.streams.empty());
  at_server->accept(std::make_unique<Ear>(server));
  EXPECT_TRUE(server.streams.empty());  // never from within accept()
  pair.server->pump();
  EXPECT_EQ(server.streams, (std::map<StreamId, std::string>{{102, "early"}, {104, "too"}}));
  EXPECT_TRUE(server.closed_streams.contains(102));
  EXPECT_EQ(pair.server_end.streams[102].consumed, uni.size());
  EXPECT_EQ(pair.server_end.streams[104].consumed, bidi.size());
}

TEST_F(WebTransport, WhatWaitsIsBounded) {
  pair.open();
  using h3::varint;
  const auto rejected = [&](StreamId stream) {
    return pair.server_end.streams[stream].stopped ==
           h3::error::kWebTransportBufferedStreamRejected;
  };
  for (StreamId stream = 102; stream < 102 + 4 * 16; stream += 4) {
    pair.server->on_stream_data(stream, bytes_of(varint(0x54) + varint(8) + "x"), false);
    EXPECT_FALSE(rejected(stream));
  }
  pair.server->on_stream_data(302, bytes_of(varint(0x54) + varint(8) + "x"), false);
  EXPECT_TRUE(rejected(302));
  pair.server->on_stream_data(102, bytes_of(std::string(70'000, 'x')), false);
  EXPECT_TRUE(rejected(102));
  pair.server_end.time += std::chrono::seconds(11);
  pair.server->check_timeouts();
  EXPECT_TRUE(rejected(106));
  EXPECT_EQ(pair.carrier.drops, 17);
  // A session that is refused, and one that cannot come.
  id = *pair.client->request("GET", "h", "/leave");
  pair.run();
  pair.server->on_stream_data(402, bytes_of(varint(0x54) + varint(static_cast<std::uint64_t>(id))),
                              false);
  EXPECT_TRUE(rejected(402));
  EXPECT_FALSE(pair.server_end.closed_with);
}

TEST_F(WebTransport, CapsulesOfTheCloseArePairedWithTheStream) {
  connect();
  h3::Wire close;
  h3::append_close_capsule(close, 5, "bye");
  const std::string unknown = h3::varint(0x1234) + h3::varint(4) + "abcd";
  const std::string datagram = h3::varint(0) + h3::varint(2) + "hi";
  const std::string wire = h3::data(unknown) + h3::data(datagram + h3::text_of(close));
  for (const char& c : wire) pair.server->on_stream_data(id, bytes_of({&c, 1}), false);
  pair.server->pump();
  EXPECT_EQ(server.closed, std::pair(5u, std::string("bye")));
  EXPECT_EQ(server.datagrams, std::vector<std::string>{"hi"});
  EXPECT_TRUE(pair.server_end.streams[id].finished);
}

TEST_F(WebTransport, MalformedAndEndlessCapsulesEndTheSession) {
  connect();
  pair.server->on_stream_data(id, bytes_of(h3::data(h3::varint(0x2843) + h3::varint(2) + "ab")),
                              false);
  EXPECT_EQ(pair.server_end.streams[id].reset, h3::error::kMessage);
  EXPECT_TRUE(server.closed);
  connect();
  const std::string filler =
      h3::data(h3::varint(0x1234) + h3::varint(8192) + std::string(8192, 'x'));
  for (int i = 0; i < 40; ++i) pair.server->on_stream_data(id, bytes_of(filler), false);
  EXPECT_EQ(pair.server_end.streams[id].reset, h3::error::kExcessiveLoad);
  EXPECT_FALSE(pair.server_end.closed_with);
}

TEST_F(WebTransport, TheEndOfTheConnectionIsTheEndOfTheSession) {
  connect();
  pair.server->on_closed("gone");
  EXPECT_TRUE(server.closed);
  EXPECT_TRUE(server.gone);
}

TEST(WebTransportCodes, GoThereAndBack) {
  for (const std::uint32_t code : {0u, 1u, 29u, 30u, 31u, 255u, 256u, 0xffffffffu}) {
    const auto error = h3::webtransport_error(code);
    EXPECT_NE((error - 0x21) % 0x1f, 0u);
    EXPECT_EQ(h3::webtransport_code(error), code);
  }
  EXPECT_EQ(h3::webtransport_error(0xffffffff), 0x52e5ac983162u);
  EXPECT_EQ(h3::webtransport_code(h3::error::kNone), std::nullopt);
}

}  // namespace
}  // namespace mirror::http
