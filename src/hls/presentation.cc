#include "hls/presentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>
#include <variant>

#include "cmaf/init_segment.h"
#include "hls/playlist.h"

namespace mirror::hls {

namespace {

WindowSettings window_settings(const PresentationSettings& settings,
                               const media::TrackDescription& track) {
  return {.epoch = settings.epoch,
          .grid = media::grid_of(track),
          .first_segment = settings.first_segment,
          .listed = settings.listed,
          .kept = settings.kept,
          .clock = settings.clock};
}

Segmenter::Chunking chunking(const PresentationSettings& settings,
                             const media::TrackDescription& track) {
  return settings.frame_chunks && std::holds_alternative<media::VideoDescription>(track)
             ? Segmenter::Chunking::kSample
             : Segmenter::Chunking::kPart;
}

WallTime end_of(const Segment& segment, const media::SampleGrid& grid) {
  return segment.date + std::chrono::microseconds(segment.samples() * grid.sample_duration *
                                                  1'000'000 / grid.timescale);
}

void introduce_siblings(const std::vector<Presentation::Rendition>& renditions) {
  for (const auto& rendition : renditions) {
    std::vector<Window::Sibling> siblings;
    for (const auto& other : renditions) {
      if (&other == &rendition) continue;
      siblings.push_back({"../" + other.name + "/media.m3u8", other.window});
    }
    rendition.window->set_siblings(std::move(siblings));
  }
}

// What a rendition is stated to peak at, at least. A stream that begins in the dark would state
// less than its pictures have a second later, and while not all segments exist the attribute is
// that of similar content (RFC 8216bis, 4.4.6.2).
std::uint32_t configured_bps(const media::TrackDescription& track) {
  return std::visit([](const auto& one) { return one.bitrate_bps; }, track);
}

}  // namespace

Result<std::unique_ptr<Presentation>> Presentation::create(
    PresentationSettings settings, std::vector<RenditionDescription> renditions,
    const WakeList& wake) {
  if (renditions.empty()) return fail("a presentation without renditions");
  std::vector<Rendition> made;
  for (RenditionDescription& rendition : renditions) {
    auto init = cmaf::write_init_segment(rendition.track);
    if (!init) return std::unexpected(std::move(init).error().within(rendition.name));
    auto window = std::make_shared<Window>(window_settings(settings, rendition.track));
    made.push_back({std::move(rendition.name), std::move(rendition.track), std::move(*init),
                    std::move(window)});
  }
  introduce_siblings(made);
  return std::unique_ptr<Presentation>(
      new Presentation(std::move(settings), std::move(made), wake));
}

Presentation::Presentation(PresentationSettings settings, std::vector<Rendition> renditions,
                           const WakeList& wake)
    : settings_(std::move(settings)), renditions_(std::move(renditions)), wake_(wake) {
  for (const Rendition& rendition : renditions_) {
    lines_.push_back({.segmenter = Segmenter(rendition.track, *rendition.window,
                                             chunking(settings_, rendition.track)),
                      .bandwidth = Bandwidth(media::grid_of(rendition.track)),
                      .next_to_measure = settings_.first_segment});
  }
}

const Presentation::Rendition* Presentation::find(std::string_view name) const {
  const auto found = std::ranges::find(renditions_, name, &Rendition::name);
  return found == renditions_.end() ? nullptr : &*found;
}

void Presentation::push(std::size_t rendition, media::Sample sample) {
  assert(rendition < lines_.size());
  if (interruption_) end_interruption(sample.program_date);
  lines_[rendition].segmenter.push(std::move(sample));
  if (take_publications(rendition)) return announce();
  const Growth& growth = *renditions_[rendition].window->growth();
  const bool grew = std::exchange(lines_[rendition].growth, growth.version()) != growth.version();
  if (grew && growth.awaited()) wake_.wake_all();
}

void Presentation::suspend() {
  for (Line& line : lines_) line.segmenter.suspend();
  if (!interruption_) begin_interruption();
  announce();
}

void Presentation::begin_interruption() {
  const auto view = renditions_.front().window->view();
  if (view->segments.empty()) return;
  interruption_ =
      DateRange{.id = fmt::format("{}-{}", settings_.epoch, ++interruptions_),
                .class_name = std::string(kInterruptionClass),
                .start = end_of(*view->segments.back(), media::grid_of(renditions_.front().track))};
  for (const Rendition& rendition : renditions_) rendition.window->set_date_range(*interruption_);
}

void Presentation::end_interruption(WallTime end) {
  interruption_->end = std::max(end, interruption_->start);
  for (const Rendition& rendition : renditions_) rendition.window->set_date_range(*interruption_);
  interruption_.reset();
}

void Presentation::finish() {
  for (Line& line : lines_) line.segmenter.finish();
  announce();
}

std::uint64_t Presentation::samples_dropped() const {
  std::uint64_t dropped = 0;
  for (const Line& line : lines_) dropped += line.segmenter.samples_dropped();
  return dropped;
}

// True if the rendition published since it was last asked.
bool Presentation::take_publications(std::size_t rendition) {
  const std::uint64_t version = renditions_[rendition].window->version();
  return std::exchange(lines_[rendition].version, version) != version;
}

// True if the rendition has a segment more than when it was last measured.
bool Presentation::measure(std::size_t rendition) {
  const auto view = renditions_[rendition].window->view();
  Line& line = lines_[rendition];
  const MediaSequence before = line.next_to_measure;
  while (const Segment* segment = view->find(line.next_to_measure)) {
    if (!segment->complete) break;
    line.bandwidth.add_segment(segment->size(), segment->samples());
    ++line.next_to_measure;
  }
  return line.next_to_measure != before;
}

void Presentation::publish_multivariant() {
  std::vector<RenditionSummary> summaries;
  for (std::size_t i = 0; i < renditions_.size(); ++i) {
    const Rendition& rendition = renditions_[i];
    if (lines_[i].next_to_measure == settings_.first_segment) return;  // has no segment yet
    summaries.push_back({.name = rendition.name,
                         .track = &rendition.track,
                         .codec = cmaf::codec_string(rendition.track),
                         .peak_bps = std::max<std::uint64_t>(lines_[i].bandwidth.peak_bps(),
                                                             configured_bps(rendition.track)),
                         .average_bps = lines_[i].bandwidth.average_bps()});
  }
  ++multivariants_;
  const auto document = [&](MultivariantForm form, std::string_view tag) {
    return std::make_shared<const Document>(
        Document{{Bytes::take(render_multivariant_playlist(summaries, form))},
                 fmt::format("\"{}-{}{}\"", settings_.epoch, multivariants_, tag)});
  };
  multivariant_.publish(std::make_shared<const Multivariant>(Multivariant{
      document(MultivariantForm::kLowLatency, "m"), document(MultivariantForm::kLegacy, "ml")}));
}

// Measures what is new and wakes those who wait for it.
void Presentation::announce() {
  bool measured = false;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    take_publications(i);
    measured = measure(i) || measured;
  }
  if (measured) publish_multivariant();
  wake_.wake_all();
}

}  // namespace mirror::hls
