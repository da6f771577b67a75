#include "hls/playlist_renderer.h"

#include <fmt/format.h>

#include <cassert>
#include <iterator>
#include <utility>

namespace mirror::hls {

namespace {

// The packed lines that a playlist lists, oldest first: of the first block perhaps only a tail.
struct History {
  const SegmentBlock& block;
  std::size_t from;  // index in the block
};

template <class Take>
void for_each_listed_block(const WindowView& view, Take&& take) {
  for (const auto& block : view.segments.blocks()) {
    if (block->segments.back()->number < view.first_listed) continue;
    const MediaSequence first = block->segments.front()->number;
    const std::size_t from = view.first_listed > first ? view.first_listed - first : 0;
    take(History{*block, from});
  }
}

// The lines of the recent segments from `from` on.
std::string recent_lines(const PlaylistRenderer::Contents& contents, MediaSequence from,
                         MediaSequence parts_from) {
  const auto& recent = contents.view.segments.recent();
  assert(contents.texts.size() == recent.size());
  std::string lines;
  for (std::size_t i = 0; i < recent.size(); ++i) {
    const MediaSequence number = recent[i]->number;
    if (number < from || number < contents.view.first_listed) continue;
    const SegmentText& text = contents.texts[i];
    lines += text.before;
    if (number >= parts_from) lines += text.parts;
    lines += text.after;
  }
  return lines;
}

}  // namespace

PlaylistRenderer::PlaylistRenderer(const WindowSettings& settings)
    : settings_(settings), head_(render_head(settings.grid)), legacy_head_(render_legacy_head()) {}

std::string PlaylistRenderer::opening(std::string_view head, const Contents& contents,
                                      std::string_view skip, MediaSequence ranges_since) const {
  const WindowView& view = contents.view;
  return fmt::format(
      "{}#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n{}"
      "#EXT-X-MAP:URI=\"{}/init.mp4\"\n{}",
      head, view.first_listed, view.discontinuity_sequence, skip, settings_.epoch,
      contents.date_ranges.tags(ranges_since));
}

// 4.4.5.2, 6.2.5.1. EXT-X-MAP stands again behind the skipped segments, to which it belonged: a
// player that merges does not need it, but Shaka 5.2 takes segments that it first sees in a delta
// update for segments without one, and cannot start on them.
PlaylistRenderer::Draft PlaylistRenderer::delta(const Contents& contents, MediaSequence from,
                                                std::string rest, bool skip_date_ranges) const {
  std::string skip =
      fmt::format("#EXT-X-SKIP:SKIPPED-SEGMENTS={}", from - contents.view.first_listed);
  // Required even when there are none.
  if (skip_date_ranges) {
    skip += fmt::format(",RECENTLY-REMOVED-DATERANGES=\"{}\"", contents.date_ranges.removed(from));
  }
  skip += '\n';
  return {.opening = opening(head_, contents, skip, skip_date_ranges ? from : 0),
          .history = false,
          .rest = std::move(rest)};
}

PlaylistRenderer::Draft PlaylistRenderer::legacy(const Contents& contents) const {
  const WindowView& view = contents.view;
  Draft draft{.opening = opening(legacy_head_, contents, "", 0), .rest = {}};
  const auto& recent = view.segments.recent();
  for (std::size_t i = 0; i < recent.size(); ++i) {
    if (!recent[i]->complete || recent[i]->number < view.first_listed) continue;
    draft.rest += contents.texts[i].before + contents.texts[i].after;
  }
  if (view.ended) draft.rest += "#EXT-X-ENDLIST\n";
  return draft;
}

Playlists::Form PlaylistRenderer::finish(const Contents& contents, Draft draft,
                                         std::string_view form, bool gzip) {
  Playlists::Form made;
  const bool history = draft.history && !contents.view.segments.blocks().empty();
  if (gzip) {
    std::vector<DeflatedPiece> pieces;
    if (history) {
      pieces.push_back(deflater_.deflate(draft.opening));
      for_each_listed_block(contents.view, [&](const History& h) {
        pieces.push_back(h.from == 0 ? h.block.deflated
                                     : deflater_.deflate(h.block.lines_from(h.from).text()));
      });
      pieces.push_back(deflater_.deflate(draft.rest));
    } else {
      pieces.push_back(deflater_.deflate(draft.opening + draft.rest));
    }
    made.gzip = std::make_shared<const Document>(Document{
        gzip_member(pieces), fmt::format("\"{}-{}{}z\"", settings_.epoch, contents.version, form)});
  }
  Document plain;
  if (history) {
    plain.pieces.push_back(Bytes::take(std::move(draft.opening)));
    for_each_listed_block(contents.view, [&](const History& h) {
      plain.pieces.push_back(h.block.lines_from(h.from));
    });
    plain.pieces.push_back(Bytes::take(std::move(draft.rest)));
  } else {
    plain.pieces.push_back(Bytes::take(std::move(draft.opening) + draft.rest));
  }
  plain.etag = fmt::format("\"{}-{}{}\"", settings_.epoch, contents.version, form);
  made.plain = std::make_shared<const Document>(std::move(plain));
  return made;
}

void PlaylistRenderer::render_legacy(const Contents& contents, bool gzip) {
  const WindowView& view = contents.view;
  // Each of these only grows, so another sum is another playlist.
  const std::uint64_t key = view.next.segment + view.first_listed +
                            contents.date_ranges.revision() + (view.ended ? 1 : 0) + 1;
  if (key == legacy_key_ && (!gzip || legacy_.gzip)) return;
  legacy_key_ = key;
  legacy_ = finish(contents, legacy(contents), "l", gzip);
}

Playlists PlaylistRenderer::render(const Contents& contents, bool gzip) {
  const WindowView& view = contents.view;
  const std::string tail = render_tail(settings_, view, contents.reports);
  Playlists made;
  const MediaSequence parts_from = first_with_parts(settings_, view);
  made.full = finish(contents,
                     {.opening = opening(head_, contents, "", 0),
                      .rest = recent_lines(contents, 0, parts_from) + tail},
                     "", gzip);
  const MediaSequence from = first_not_skipped(settings_, view);
  if (from <= view.first_listed) {
    made.delta = made.delta_date_ranges = made.full;
  } else {
    const std::string rest = recent_lines(contents, from, parts_from) + tail;
    made.delta = finish(contents, delta(contents, from, rest, false), "d", gzip);
    made.delta_date_ranges = finish(contents, delta(contents, from, rest, true), "e", gzip);
  }
  render_legacy(contents, gzip);
  made.legacy = legacy_;
  return made;
}

std::shared_ptr<const SegmentBlock> PlaylistRenderer::pack(
    std::vector<SegmentList::Pointer> segments, const std::deque<SegmentText>& texts) {
  auto block = std::make_shared<SegmentBlock>();
  std::string lines;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    lines += texts[i].before + texts[i].after;
    block->line_ends.push_back(lines.size());
  }
  block->segments = std::move(segments);
  block->deflated = deflater_.deflate(lines);
  block->lines = Bytes::take(std::move(lines));
  return block;
}

}  // namespace mirror::hls
