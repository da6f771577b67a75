#include "http/http3_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "http/http3_script.h"
#include "http/prepared.h"
#include "http/scripted_carrier.h"
#include "http/scripted_transport.h"

namespace mirror::http {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// What came back on one stream.
struct Answer {
  std::map<std::string, std::string> fields;
  std::string body;
  std::vector<std::uint64_t> frames;  // their types, in order
  bool whole = false;                 // the stream was finished, at a frame's end
};

Answer read_answer(const std::string& wire, bool finished) {
  Answer answer;
  QpackDecoder qpack;
  h3::FrameReader reader;
  std::string section;
  auto left = bytes_of(wire);
  for (;;) {
    const auto event = reader.next(left);
    if (event == h3::FrameReader::Event::kNeedMore) break;
    if (event == h3::FrameReader::Event::kHead) answer.frames.push_back(reader.type());
    if (event == h3::FrameReader::Event::kPayload) {
      auto& place = reader.type() == h3::frame::kData ? answer.body : section;
      place.append(reader.payload().begin(), reader.payload().end());
    }
    if (event == h3::FrameReader::Event::kEnd && reader.type() == h3::frame::kHeaders) {
      EXPECT_TRUE(qpack.decode(bytes_of(section), [&](auto name, auto value) {
        answer.fields[std::string(name)] = value;
        return true;
      }));
      section.clear();
    }
  }
  answer.whole = finished && reader.at_boundary();
  return answer;
}

class Http3 : public testing::Test {
 protected:
  void open() {
    session = std::make_unique<Http3Session>(carrier, transport);
    session->on_open();
    give(2, h3::control());
  }
  void give(quic::StreamId id, std::string_view bytes, bool fin = false) {
    const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
    session->on_stream_data(id, copy, fin);
    if (carrier.scheduled) session->pump();
  }
  Answer answer(quic::StreamId id) {
    const auto& stream = transport.streams[id];
    return read_answer(stream.out, stream.finished);
  }
  // As the transport does once both sides are over.
  void close_stream(quic::StreamId id) {
    transport.streams[id].taken = transport.streams[id].out.size();
    session->on_stream_closed(id);
    session->pump();
  }

  ScriptedCarrier carrier;
  ScriptedTransport transport{ScriptedTransport::Side::kServer};
  std::unique_ptr<Http3Session> session;
};

TEST_F(Http3, BeginsWithSettings) {
  open();
  const std::string& out = transport.streams[3].out;
  ASSERT_EQ(out[0], 0);  // a control stream
  auto left = bytes_of(out).subspan(1);
  h3::FrameReader reader;
  while (reader.next(left) != h3::FrameReader::Event::kPayload) {
  }
  EXPECT_EQ(reader.type(), h3::frame::kSettings);
  const auto said = h3::parse_settings(reader.payload());
  EXPECT_EQ(said.error, 0u);
  EXPECT_EQ(said.settings.max_field_section_size, carrier.limits_.header_bytes_max);
  EXPECT_TRUE(said.settings.connect_protocol);
  EXPECT_TRUE(said.settings.datagrams);
  EXPECT_TRUE(said.settings.webtransport_draft02);
  EXPECT_EQ(said.settings.webtransport_sessions, 16u);
}

TEST_F(Http3, WithoutCreditTheControlStreamWaits) {
  transport.uni_left = 0;
  session = std::make_unique<Http3Session>(carrier, transport);
  session->on_open();
  EXPECT_TRUE(transport.streams.empty());
  transport.uni_left = 3;
  session->on_streams_available();
  EXPECT_FALSE(transport.streams[3].out.empty());
}

TEST_F(Http3, Answers) {
  open();
  give(0, h3::request("GET", "/a/../b?x=1", {{"accept", "*/*"}}), true);
  ASSERT_EQ(carrier.seen.size(), 1u);
  EXPECT_EQ(carrier.seen[0].path, "/b");
  EXPECT_EQ(carrier.seen[0].query, "x=1");
  EXPECT_EQ(carrier.seen[0].authority, "h");
  const Answer got = answer(0);
  EXPECT_TRUE(got.whole);
  EXPECT_EQ(got.body, "/b|");
  EXPECT_EQ(got.fields.at(":status"), "200");
  EXPECT_EQ(got.fields.at("content-length"), "3");
  EXPECT_EQ(got.fields.at("date"), carrier.date());
  EXPECT_EQ(carrier.statuses, std::vector{200});
  EXPECT_EQ(session->requests(), 1u);
  close_stream(0);
  EXPECT_EQ(session->requests(), 0u);
}

TEST_F(Http3, EveryByteIsConsumed) {
  open();
  const std::string wire = h3::request("POST", "/p") + h3::make_frame(0x21, "grease") +
                           h3::data("body") + h3::headers({{"trailer", "x"}});
  for (const char c : wire) give(0, {&c, 1});
  give(0, {}, true);
  EXPECT_EQ(transport.streams[0].consumed, wire.size());
  EXPECT_EQ(answer(0).body, "/p|body");
}

TEST_F(Http3, SplitAtEveryByte) {
  const std::string wire = h3::make_frame(0x40, "") + h3::request("POST", "/p", {{"a", "b"}}) +
                           h3::data("abc") + h3::data("") + h3::data("defg") +
                           h3::headers({{"t", "u"}}) + h3::make_frame(0x5f, "zz");
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    ScriptedTransport own(ScriptedTransport::Side::kServer);
    Http3Session one(carrier, own);
    one.on_open();
    const std::string first = wire.substr(0, cut);
    const std::string second = wire.substr(cut);
    one.on_stream_data(0, bytes_of(first), false);
    one.on_stream_data(0, bytes_of(second), true);
    EXPECT_EQ(read_answer(own.streams[0].out, own.streams[0].finished).body, "/p|abcdefg") << cut;
    EXPECT_FALSE(own.closed_with) << cut;
  }
}

TEST_F(Http3, HeadHasNoBody) {
  open();
  give(0, h3::request("HEAD", "/abc"), true);
  const Answer got = answer(0);
  EXPECT_EQ(got.frames, std::vector<std::uint64_t>{h3::frame::kHeaders});
  EXPECT_EQ(got.fields.at("content-length"), "5");
}

TEST_F(Http3, LaterAndGrowing) {
  open();
  give(0, h3::request("GET", "/later"), true);
  give(4, h3::request("GET", "/grow"), true);
  EXPECT_EQ(carrier.held.size(), 2u);
  EXPECT_EQ(answer(4).body, "first ");
  EXPECT_FALSE(answer(4).whole);
  carrier.answer_held();
  session->pump();
  EXPECT_TRUE(carrier.held.empty());
  EXPECT_EQ(answer(0).body, "later");
  EXPECT_EQ(answer(4).body, "first second");
  EXPECT_TRUE(answer(4).whole);
  EXPECT_EQ(answer(4).fields.count("content-length"), 0u);
}

TEST_F(Http3, APreparedAnswerForManyStreams) {
  open();
  const auto prepared = std::make_shared<const Prepared>(
      200, Headers{{"etag", "\"a\""}, {"cache-control", "max-age=6"}},
      std::vector{Bytes::take(std::string(2000, 'p')), Bytes::take(std::string("q"))});
  for (quic::StreamId id = 0; id < 80; id += 4) give(id, h3::request("GET", "/later"), true);
  give(80, h3::request("HEAD", "/later"), true);
  const Header cors{"access-control-allow-origin", "https://a"};
  for (auto* held : carrier.held) held->exchange.respond(prepared, {&cors, 1});
  session->pump();
  for (quic::StreamId id = 0; id < 80; id += 4) {
    const Answer got = answer(id);
    EXPECT_EQ(got.body, std::string(2000, 'p') + "q");
    EXPECT_EQ(got.fields.at(":status"), "200");
    EXPECT_EQ(got.fields.at("content-length"), "2001");
    EXPECT_EQ(got.fields.at("etag"), "\"a\"");
    EXPECT_EQ(got.fields.at("date"), carrier.date());
    EXPECT_EQ(got.fields.at(cors.name), cors.value);
    EXPECT_TRUE(got.whole);
  }
  EXPECT_EQ(answer(80).body, "");
  EXPECT_EQ(answer(80).fields.at("content-length"), "2001");
}

TEST_F(Http3, AbortAndCancelAreSeenOnTheStream) {
  open();
  give(0, h3::request("GET", "/grow"), true);
  carrier.held.front()->exchange.abort();
  session->pump();
  EXPECT_EQ(transport.streams[0].reset, h3::error::kInternal);
  EXPECT_TRUE(carrier.held.empty());

  give(4, h3::request("GET", "/leave"), true);
  EXPECT_EQ(carrier.held.size(), 1u);
  session->on_stop_sending(4, h3::error::kRequestCancelled);
  session->pump();
  EXPECT_TRUE(carrier.held.empty());

  give(8, h3::request("POST", "/p") + h3::data("x"));
  session->on_stream_reset(8, h3::error::kRequestCancelled);
  EXPECT_EQ(transport.streams[8].reset, h3::error::kRequestCancelled);
  EXPECT_FALSE(transport.closed_with);
}

TEST_F(Http3, AnswersBeforeTheRequestIsWhole) {
  open();
  carrier.limits_.body_bytes_max = 10;
  give(0, h3::request("POST", "/p") + h3::data("eleven bytes"));
  EXPECT_EQ(answer(0).fields.at(":status"), "413");
  EXPECT_EQ(transport.streams[0].stopped, h3::error::kNone);  // RFC 9114 4.1
}

TEST_F(Http3, FaultsHaveWords) {
  open();
  quic::StreamId id = 0;
  const auto ask = [&](const h3::Fields& fields) {
    give(id += 4, h3::headers(fields), true);
    return answer(id);
  };
  EXPECT_THAT(ask(h3::request_fields("GET", "/%zz")).body, HasSubstr("bad percent-encoding"));
  EXPECT_EQ(ask(h3::request_fields("BREW", "/")).fields.at(":status"), "501");
  EXPECT_EQ(ask(h3::request_fields("GET", "/" + std::string(9000, 'a'))).fields.at(":status"),
            "414");
  EXPECT_EQ(
      ask(h3::request_fields("GET", "/", {{"a", std::string(20'000, 'a')}})).fields.at(":status"),
      "431");
  h3::Fields many = h3::request_fields("GET", "/");
  for (int i = 0; i < 200; ++i) many.emplace_back("x", "y");
  EXPECT_EQ(ask(many).fields.at(":status"), "431");
  EXPECT_EQ(ask({{":method", "CONNECT"}, {":authority", "h:1"}}).fields.at(":status"), "501");
  EXPECT_EQ(ask(h3::request_fields("CONNECT", "/", {})).fields.count(":status"), 0u);
  h3::Fields websocket = h3::request_fields("CONNECT", "/");
  websocket.insert(websocket.begin(), {":protocol", "websocket"});
  EXPECT_EQ(ask(websocket).fields.at(":status"), "501");
  EXPECT_FALSE(transport.closed_with);
}

// RFC 8470: only what may be asked twice.
TEST_F(Http3, EarlyDataIsForSafeRequests) {
  open();
  transport.early = true;
  give(0, h3::request("GET", "/a"), true);
  EXPECT_EQ(answer(0).fields.at(":status"), "200");
  give(4, h3::request("POST", "/a") + h3::data("x"), true);
  EXPECT_EQ(answer(4).fields.at(":status"), "425");
  transport.early = false;
  give(8, h3::request("POST", "/a") + h3::data("x"), true);
  EXPECT_EQ(answer(8).fields.at(":status"), "200");
}

TEST_F(Http3, PrioritiesGoToTheTransport) {
  open();
  give(0, h3::request("GET", "/a", {{"priority", "u=1, i"}}), true);
  EXPECT_EQ(transport.streams[0].priority, (quic::Priority{1, true}));
  // Before its request, and stronger than the field.
  give(2, h3::make_frame(h3::frame::kPriorityUpdateRequest, h3::varint(4) + "u=0"));
  give(4, h3::request("GET", "/a", {{"priority", "u=7"}}), true);
  EXPECT_EQ(transport.streams[4].priority, (quic::Priority{0, false}));
  give(2, h3::make_frame(h3::frame::kPriorityUpdateRequest, h3::varint(0) + "u=5"));
  EXPECT_EQ(transport.streams[0].priority, (quic::Priority{5, false}));
  give(8, h3::request("GET", "/a", {{"priority", "((("}}), true);  // says nothing
  EXPECT_EQ(answer(8).fields.at(":status"), "200");
}

TEST_F(Http3, DrainRejectsWhatIsNewAndEndsWithTheLast) {
  open();
  give(0, h3::request("GET", "/later"), true);
  session->drain();
  session->check_timeouts();
  session->pump();
  const auto goaway = [](std::uint64_t id) {
    return h3::make_frame(h3::frame::kGoaway, h3::varint(id));
  };
  EXPECT_THAT(transport.streams[3].out, testing::EndsWith(goaway((std::uint64_t{1} << 62) - 4)));
  give(4, h3::request("GET", "/a"), true);  // was on its way
  EXPECT_EQ(answer(4).fields.at(":status"), "200");
  transport.time += 500ms;
  session->check_timeouts();
  EXPECT_THAT(transport.streams[3].out, testing::EndsWith(goaway(8)));
  close_stream(4);
  session->pump();
  give(8, h3::request("GET", "/a"), true);
  EXPECT_EQ(transport.streams[8].reset, h3::error::kRequestRejected);
  EXPECT_FALSE(transport.closed_with);
  carrier.answer_held();
  session->pump();
  close_stream(0);
  EXPECT_EQ(transport.closed_with, h3::error::kNone);
}

TEST_F(Http3, TimeOuts) {
  open();
  give(0, h3::request("GET", "/a").substr(0, 3));
  give(4, h3::request("POST", "/a"));
  give(8, h3::request("GET", "/leave"), true);
  transport.time += 11s;
  EXPECT_EQ(session->check_timeouts().head, 1u);
  EXPECT_EQ(answer(0).fields.at(":status"), "408");
  transport.time += 10s;
  EXPECT_EQ(session->check_timeouts().body, 1u);
  EXPECT_EQ(answer(4).fields.at(":status"), "408");
  transport.time += 1000s;
  session->pump();
  EXPECT_EQ(carrier.held.size(), 1u);  // whoever holds a request may
  EXPECT_FALSE(session->check_timeouts().idle);
}

TEST_F(Http3, AnIdleConnectionIsClosed) {
  open();
  transport.time += 61s;
  EXPECT_TRUE(session->check_timeouts().idle);
  EXPECT_EQ(transport.closed_with, h3::error::kNone);
}

TEST_F(Http3, AnAnswerThatThePeerNeverTakesIsCancelled) {
  open();
  give(0, h3::request("GET", "/abc"), true);
  give(4, h3::request("GET", "/abc"), true);
  for (int i = 0; i < 3; ++i) {
    transport.time += 15s;
    ++transport.streams[4].taken;  // slow, and alive
    EXPECT_EQ(session->check_timeouts().write, i == 1 ? 1u : 0u) << i;
  }
  EXPECT_EQ(transport.streams[0].reset, h3::error::kRequestCancelled);
  EXPECT_FALSE(transport.streams[4].reset);
}

TEST_F(Http3, AWriterThatIgnoresTheLimitIsAborted) {
  carrier.limits_.queued_bytes_per_connection_max = 100'000;
  open();
  give(0, h3::request("GET", "/grow"), true);
  Exchange& exchange = carrier.held.front()->exchange;
  for (int i = 0; i < 200; ++i) exchange.write(Bytes::take(std::string(1000, 'x')));
  EXPECT_EQ(transport.streams[0].reset, h3::error::kInternal);
  EXPECT_LE(transport.queued_bytes(), 110'000u);
}

TEST_F(Http3, RequestsAtATimeAreLimited) {
  carrier.limits_.concurrent_streams_max = 3;
  open();
  for (quic::StreamId id = 0; id < 16; id += 4) give(id, h3::request("GET", "/leave"), true);
  EXPECT_EQ(carrier.held.size(), 3u);
  EXPECT_EQ(transport.streams[12].reset, h3::error::kRequestRejected);
}

// ---- What a peer can break: the clause, what it sends, and what it is told --------------------

struct Step {
  quic::StreamId stream;
  std::string bytes;
  enum Kind { kData, kFin, kReset, kStop } kind = kData;
};

struct Breach {
  const char* clause;
  std::vector<Step> steps;
  std::uint64_t connection_error = 0;
  std::uint64_t stream_error = 0;  // of the first step's stream
};

std::vector<Breach> breaches() {
  using namespace h3;
  namespace e = h3::error;
  const std::string get = request("GET", "/a");
  const std::string post = request("POST", "/a");
  const auto fields = [](const Fields& list) {
    return std::vector<Step>{{0, headers(list), Step::kFin}};
  };
  const auto with = [&](const Fields& extra) { return fields(request_fields("GET", "/a", extra)); };
  const auto on_control = [](const std::string& bytes) {
    return std::vector<Step>{{2, control(bytes)}};
  };
  const std::string push0 = varint(0);
  return {
      // RFC 9114 4.1: the order of frames
      {"4.1 DATA before HEADERS", {{0, data("x")}}, e::kFrameUnexpected},
      {"4.1 HEADERS behind trailers",
       {{0, post + headers({{"t", "x"}}) + headers({{"t", "x"}})}},
       e::kFrameUnexpected},
      {"4.1 DATA behind trailers",
       {{0, post + headers({{"t", "x"}}) + data("x")}},
       e::kFrameUnexpected},
      {"4.1 no request", {{0, "", Step::kFin}}, 0, e::kRequestIncomplete},
      {"4.1 only grease", {{0, make_frame(0x21, "x"), Step::kFin}}, 0, e::kRequestIncomplete},
      // 4.1.2: malformed messages
      {"4.1.2 less than content-length",
       {{0, request("POST", "/", {{"content-length", "3"}}) + data("ab"), Step::kFin}},
       0,
       e::kMessage},
      {"4.1.2 more than content-length",
       {{0, request("POST", "/", {{"content-length", "1"}}) + data("ab")}},
       0,
       e::kMessage},
      {"4.1.2 two lengths", with({{"content-length", "1"}, {"content-length", "2"}}), 0,
       e::kMessage},
      {"4.1.2 a length that is none", with({{"content-length", "-1"}}), 0, e::kMessage},
      // 4.2: fields
      {"4.2 upper case", with({{"Accept", "x"}}), 0, e::kMessage},
      {"4.2 empty name", with({{"", "x"}}), 0, e::kMessage},
      {"4.2 a space in a name", with({{"a b", "x"}}), 0, e::kMessage},
      {"4.2 connection", with({{"connection", "close"}}), 0, e::kMessage},
      {"4.2 transfer-encoding", with({{"transfer-encoding", "chunked"}}), 0, e::kMessage},
      {"4.2 keep-alive", with({{"keep-alive", "1"}}), 0, e::kMessage},
      {"4.2 upgrade", with({{"upgrade", "h2c"}}), 0, e::kMessage},
      {"4.2 te", with({{"te", "gzip"}}), 0, e::kMessage},
      {"10.3 CR in a value", with({{"a", "x\ry"}}), 0, e::kMessage},
      {"10.3 LF in a value", with({{"a", "x\ny"}}), 0, e::kMessage},
      {"10.3 NUL in a value", with({{"a", std::string("x\0y", 3)}}), 0, e::kMessage},
      // 4.3: pseudo-header fields
      {"4.3 unknown",
       fields({{":method", "GET"},
               {":scheme", "https"},
               {":authority", "h"},
               {":path", "/"},
               {":other", "x"}}),
       0, e::kMessage},
      {"4.3 of an answer", with({{":status", "200"}}), 0, e::kMessage},
      {"4.3 behind a field",
       fields({{":method", "GET"},
               {":scheme", "https"},
               {"a", "b"},
               {":authority", "h"},
               {":path", "/"}}),
       0, e::kMessage},
      {"4.3 in trailers", {{0, post + headers({{":path", "/"}}), Step::kFin}}, 0, e::kMessage},
      {"4.3.1 twice",
       fields({{":method", "GET"},
               {":method", "GET"},
               {":scheme", "https"},
               {":authority", "h"},
               {":path", "/"}}),
       0, e::kMessage},
      {"4.3.1 no method", fields({{":scheme", "https"}, {":authority", "h"}, {":path", "/"}}), 0,
       e::kMessage},
      {"4.3.1 no scheme", fields({{":method", "GET"}, {":authority", "h"}, {":path", "/"}}), 0,
       e::kMessage},
      {"4.3.1 no path", fields({{":method", "GET"}, {":authority", "h"}, {":scheme", "https"}}), 0,
       e::kMessage},
      {"4.3.1 empty path",
       fields({{":method", "GET"}, {":authority", "h"}, {":scheme", "https"}, {":path", ""}}), 0,
       e::kMessage},
      {"4.3.1 no authority", fields({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}}), 0,
       e::kMessage},
      {"4.3.1 empty authority",
       fields({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {":authority", ""}}), 0,
       e::kMessage},
      {"4.3.1 two authorities", with({{"host", "other"}}), 0, e::kMessage},
      {"4.4 CONNECT with a path",
       fields({{":method", "CONNECT"}, {":authority", "h"}, {":path", "/"}}), 0, e::kMessage},
      {"RFC 8441 4 :protocol without CONNECT",
       fields({{":method", "GET"},
               {":protocol", "webtransport"},
               {":scheme", "https"},
               {":authority", "h"},
               {":path", "/"}}),
       0, e::kMessage},
      // 6: streams
      {"6.2.1 a second control stream", {{6, control()}}, e::kStreamCreation},
      {"6.2.1 control stream closed", {{2, "", Step::kFin}}, e::kClosedCriticalStream},
      {"6.2.1 control stream reset", {{2, "", Step::kReset}}, e::kClosedCriticalStream},
      {"6.2.1 our control stream not wanted", {{3, "", Step::kStop}}, e::kClosedCriticalStream},
      {"6.2.1 no SETTINGS first",
       {{-1, ""}, {2, varint(0) + make_frame(frame::kMaxPushId, varint(1))}},
       e::kMissingSettings},
      {"6.2.1 grease before SETTINGS",
       {{-1, ""}, {2, varint(0) + make_frame(0x21, "")}},
       e::kMissingSettings},
      {"6.2.2 push by a client", {{6, varint(1) + push0}}, e::kStreamCreation},
      {"RFC 9204 4.2 a second encoder stream",
       {{6, varint(2)}, {10, varint(2)}},
       e::kStreamCreation},
      {"RFC 9204 4.2 a second decoder stream",
       {{6, varint(3)}, {10, varint(3)}},
       e::kStreamCreation},
      {"RFC 9204 4.2 encoder stream closed",
       {{6, varint(2), Step::kFin}},
       e::kClosedCriticalStream},
      {"RFC 9204 4.2 decoder stream reset",
       {{6, varint(3)}, {6, "", Step::kReset}},
       e::kClosedCriticalStream},
      {"RFC 9204 3.2.3 a table with room", {{6, varint(2) + "\x3f\x01"}}, e::kQpackEncoderStream},
      {"RFC 9204 4.3.3 an insertion",
       {{6, varint(2) + "\x41"
                        "a\x01"
                        "b"}},
       e::kQpackEncoderStream},
      {"RFC 9204 4.4.1 an acknowledgement", {{6, varint(3) + "\x80"}}, e::kQpackDecoderStream},
      {"RFC 9204 4.4.3 an increment", {{6, varint(3) + "\x01"}}, e::kQpackDecoderStream},
      // 7: frames
      {"7.1 a request ends within a frame", {{0, get.substr(0, 5), Step::kFin}}, e::kFrame},
      {"7.1 a body ends within a frame",
       {{0, post + data("abc").substr(0, 3), Step::kFin}},
       e::kFrame},
      {"7.1 a frame with bytes over", on_control(make_frame(frame::kMaxPushId, varint(1) + "x")),
       e::kFrame},
      {"7.1 a frame that is too short", on_control(make_frame(frame::kMaxPushId, "\x40")),
       e::kFrame},
      {"7.1 an empty GOAWAY", on_control(make_frame(frame::kGoaway, "")), e::kFrame},
      {"7.2.1 DATA on control", on_control(data("x")), e::kFrameUnexpected},
      {"7.2.2 HEADERS on control", on_control(get), e::kFrameUnexpected},
      {"7.2.3 CANCEL_PUSH on a request",
       {{0, get + make_frame(frame::kCancelPush, push0)}},
       e::kFrameUnexpected},
      {"7.2.3 CANCEL_PUSH of no promise", on_control(make_frame(frame::kCancelPush, push0)),
       e::kId},
      {"7.2.4 a second SETTINGS", on_control(settings()), e::kFrameUnexpected},
      {"7.2.4 SETTINGS on a request", {{0, settings()}}, e::kFrameUnexpected},
      {"7.2.4 a setting twice",
       {{-1, ""}, {2, varint(0) + settings({{6, 1}, {6, 1}})}},
       e::kSettings},
      {"7.2.4 a setting cut off",
       {{-1, ""}, {2, varint(0) + make_frame(frame::kSettings, varint(6))}},
       e::kFrame},
      {"7.2.4.1 a setting of HTTP/2",
       {{-1, ""}, {2, varint(0) + settings({{4, 1}})}},
       e::kSettings},
      {"RFC 9297 2.1.1 H3_DATAGRAM neither 0 nor 1",
       {{-1, ""}, {2, varint(0) + settings({{0x33, 2}})}},
       e::kSettings},
      {"RFC 8441 3 ENABLE_CONNECT_PROTOCOL neither 0 nor 1",
       {{-1, ""}, {2, varint(0) + settings({{8, 7}})}},
       e::kSettings},
      {"7.2.5 PUSH_PROMISE by a client",
       {{0, get + make_frame(frame::kPushPromise, push0 + "x")}},
       e::kFrameUnexpected},
      {"7.2.5 PUSH_PROMISE on control", on_control(make_frame(frame::kPushPromise, push0 + "x")),
       e::kFrameUnexpected},
      {"7.2.6 GOAWAY on a request",
       {{0, make_frame(frame::kGoaway, varint(0))}},
       e::kFrameUnexpected},
      {"5.2 GOAWAY that rises",
       on_control(make_frame(frame::kGoaway, varint(1)) + make_frame(frame::kGoaway, varint(2))),
       e::kId},
      {"7.2.7 MAX_PUSH_ID on a request",
       {{0, get + make_frame(frame::kMaxPushId, varint(1))}},
       e::kFrameUnexpected},
      {"7.2.7 MAX_PUSH_ID that falls",
       on_control(make_frame(frame::kMaxPushId, varint(2)) +
                  make_frame(frame::kMaxPushId, varint(1))),
       e::kId},
      {"7.2.8 a type of HTTP/2 on control", on_control(make_frame(0x06, "")), e::kFrameUnexpected},
      {"7.2.8 a type of HTTP/2 on a request", {{0, make_frame(0x02, "")}}, e::kFrameUnexpected},
      // RFC 9204 2.2.3, 4.5
      {"RFC 9204 a reference to the dynamic table",
       {{0, make_frame(frame::kHeaders, std::string("\x02\x00\x80", 3))}},
       e::kQpackDecompressionFailed},
      {"RFC 9204 a static entry that is not there",
       {{0, make_frame(frame::kHeaders, std::string("\x00\x00\xff\x7f", 4))}},
       e::kQpackDecompressionFailed},
      {"RFC 9204 a section cut off",
       {{0, make_frame(frame::kHeaders, get.substr(2, get.size() - 4))}},
       e::kQpackDecompressionFailed},
      {"RFC 9204 an empty section",
       {{0, make_frame(frame::kHeaders, "")}},
       e::kQpackDecompressionFailed},
      // RFC 9218
      {"RFC 9218 7.2 on a request",
       {{0, get + make_frame(frame::kPriorityUpdateRequest, varint(0) + "u=1")}},
       e::kFrameUnexpected},
      {"RFC 9218 7.2 of no request",
       on_control(make_frame(frame::kPriorityUpdateRequest, varint(3) + "u=1")), e::kId},
      {"RFC 9218 7.2 of no promise",
       on_control(make_frame(frame::kPriorityUpdatePush, varint(0) + "u=1")), e::kId},
      {"RFC 9218 7.2 of nothing", on_control(make_frame(frame::kPriorityUpdateRequest, "")),
       e::kFrame},
      // WebTransport drafts
      {"WebTransport 4.2 not the first frame", {{0, get + varint(0x41) + varint(0)}}, e::kFrame},
      {"WebTransport 2 a session that cannot be", {{6, varint(0x54) + varint(3)}}, e::kId},
      {"WebTransport 2 a session on a server's stream", {{4, varint(0x41) + varint(1)}}, e::kId},
  };
}

TEST(Http3Breaches, EachIsToldItsError) {
  for (const Breach& breach : breaches()) {
    SCOPED_TRACE(breach.clause);
    // Whole, and byte by byte.
    for (const bool split : {false, true}) {
      ScriptedCarrier carrier;
      ScriptedTransport transport(ScriptedTransport::Side::kServer);
      Http3Session session(carrier, transport);
      session.on_open();
      const bool bare = breach.steps.front().stream == -1;  // without the usual control stream
      const bool control_itself =
          breach.steps.front().stream == 2 && !breach.steps.front().bytes.empty();
      if (!bare && !control_itself) session.on_stream_data(2, bytes_of(h3::control()), false);
      for (const Step& step : breach.steps) {
        if (step.stream < 0) continue;
        const bool fin = step.kind == Step::kFin;
        if (step.kind == Step::kReset) {
          session.on_stream_reset(step.stream, 0);
        } else if (step.kind == Step::kStop) {
          session.on_stop_sending(step.stream, 0);
        } else if (!split) {
          session.on_stream_data(step.stream, bytes_of(step.bytes), fin);
        } else {
          for (const char& c : step.bytes) {
            session.on_stream_data(step.stream, bytes_of({&c, 1}), false);
          }
          if (fin) session.on_stream_data(step.stream, {}, true);
        }
      }
      session.pump();
      if (breach.connection_error != 0) {
        EXPECT_EQ(transport.closed_with, breach.connection_error)
            << (transport.closed_with ? h3::name_of_error(*transport.closed_with) : "not closed");
      } else {
        EXPECT_FALSE(transport.closed_with) << h3::name_of_error(transport.closed_with.value_or(0));
        EXPECT_EQ(transport.streams[breach.steps[0].stream].reset, breach.stream_error);
      }
      EXPECT_GT(carrier.protocol_errors, 0);
      EXPECT_TRUE(carrier.seen.empty() || breach.connection_error != 0);
    }
  }
}

// What must be borne: RFC 9114 6.2, 7.2.8, 7.2.4.1, 9; RFC 9204 4.3.1, 4.4.2.
TEST_F(Http3, WhatIsUnknownIsBorne) {
  open();
  give(6, h3::varint(0x21) + "anything", true);
  EXPECT_EQ(transport.streams[6].stopped, h3::error::kStreamCreation);
  give(10, "", true);      // never said what it was
  give(14, "\x40", true);  // half a type
  give(18, h3::varint(2) + "\x20");
  give(22, h3::varint(3) + "\x44\x7f\x80\x01");
  give(2, h3::make_frame(0x21, "grease") + h3::make_frame(0x40, ""));
  give(0, h3::make_frame(0x21, "") + h3::request("GET", "/a") + h3::make_frame(0x5f, "x"), true);
  EXPECT_FALSE(transport.closed_with) << transport.close_reason;
  EXPECT_EQ(answer(0).fields.at(":status"), "200");
}

// ---- Floods ----------------------------------------------------------------------------------

void expect_excessive(Http3Session& session, const ScriptedTransport& transport,
                      const std::function<void(int)>& one, int most = 5000) {
  for (int i = 0; i < most && !transport.closed_with; ++i) {
    one(i);
    session.pump();
  }
  EXPECT_EQ(transport.closed_with, h3::error::kExcessiveLoad);
}

TEST_F(Http3, FloodsAreEnded) {
  const auto fresh = [&] {
    session.reset();
    transport = ScriptedTransport(ScriptedTransport::Side::kServer);
    open();
  };
  using h3::make_frame;
  using h3::varint;
  fresh();
  expect_excessive(*session, transport, [&](int) { give(2, make_frame(0x21, "")); });
  fresh();
  give(0, h3::request("POST", "/p"));
  expect_excessive(*session, transport, [&](int) { give(0, h3::data("")); });
  fresh();
  expect_excessive(*session, transport, [&](int i) {
    give(2, make_frame(h3::frame::kPriorityUpdateRequest, varint(4 * i) + "u=1"));
  });
  fresh();
  expect_excessive(*session, transport,
                   [&](int i) { give(2, make_frame(h3::frame::kMaxPushId, varint(i))); });
  fresh();
  expect_excessive(*session, transport, [&](int i) { give(6 + 4 * i, varint(0x21)); });
  fresh();
  expect_excessive(*session, transport, [&](int i) { give(6 + 4 * i, "\x40"); });
  fresh();
  expect_excessive(*session, transport, [&](int i) {
    give(4 * i, h3::request("GET", "/leave"), true);
    session->on_stop_sending(4 * i, h3::error::kRequestCancelled);
    close_stream(4 * i);
  });
  EXPECT_TRUE(carrier.held.empty());
  fresh();
  expect_excessive(*session, transport, [&](int i) { session->on_stream_reset(4 * i, 0); });
  fresh();
  give(2, varint(0x21) + varint(1'000'000));
  EXPECT_EQ(transport.closed_with, h3::error::kExcessiveLoad);
  fresh();
  give(2, varint(h3::frame::kPriorityUpdateRequest) + varint(100'000));
  EXPECT_EQ(transport.closed_with, h3::error::kExcessiveLoad);
}

// ---- Datagrams -------------------------------------------------------------------------------

TEST_F(Http3, DatagramsOfNobodyAreCounted) {
  open();
  session->on_datagram(bytes_of(h3::varint(1) + "x"));
  EXPECT_EQ(carrier.drops, 1);
  session->on_datagram({});
  EXPECT_EQ(transport.closed_with, h3::error::kDatagram);
}

}  // namespace
}  // namespace mirror::http
