// SegmentList: the segments of a window, cheap to copy however many they are.
//
// A window of hours has tens of thousands of segments, and each publication hands readers a copy of
// the list. Old segments, which never change again, are therefore packed into immutable blocks that
// all copies share, each with its playlist lines; a copy costs one reference per block and one per
// recent segment (fewer than 2 * kBlockSegments).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "hls/gzip.h"
#include "hls/segment.h"

namespace mirror::hls {

inline constexpr std::size_t kBlockSegments = 128;

struct SegmentBlock {
  std::vector<std::shared_ptr<const Segment>> segments;  // kBlockSegments, complete, consecutive
  Bytes lines;                                           // as in a playlist, without parts
  std::vector<std::size_t> line_ends;                    // one each: where its lines end
  DeflatedPiece deflated;                                // of `lines`

  // The lines from segments[index] on.
  Bytes lines_from(std::size_t index) const {
    return index == 0 ? lines : lines.slice(line_ends[index - 1]);
  }
};

class SegmentList {
 public:
  using Pointer = std::shared_ptr<const Segment>;

  bool empty() const { return size() == 0; }
  std::size_t size() const { return blocks_.size() * kBlockSegments + recent_.size() - hidden_; }
  const Pointer& operator[](std::size_t index) const {
    index += hidden_;
    const std::size_t block = index / kBlockSegments;
    if (block < blocks_.size()) return blocks_[block]->segments[index % kBlockSegments];
    return recent_[index - blocks_.size() * kBlockSegments];
  }
  const Pointer& front() const { return (*this)[0]; }
  const Pointer& back() const { return (*this)[size() - 1]; }
  // By media sequence number; null for what is not in the list.
  const Segment* find(MediaSequence number) const {
    if (empty() || number < front()->number) return nullptr;
    const MediaSequence offset = number - front()->number;
    return offset < size() ? (*this)[offset].get() : nullptr;
  }

  Pointer find_shared(MediaSequence number) const {
    return find(number) != nullptr ? (*this)[number - front()->number] : nullptr;
  }

  class Iterator {
   public:
    Iterator(const SegmentList& list, std::size_t index) : list_(&list), index_(index) {}
    const Pointer& operator*() const { return (*list_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const SegmentList* list_;
    std::size_t index_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

  // For the renderer: what is packed, oldest first, and what is not.
  const std::vector<std::shared_ptr<const SegmentBlock>>& blocks() const { return blocks_; }
  const std::vector<Pointer>& recent() const { return recent_; }

  // For the window, which keeps the lines of the recent ones beside this list.
  void push_back(Pointer segment) { recent_.push_back(std::move(segment)); }
  void replace_back(Pointer segment) { recent_.back() = std::move(segment); }
  // The oldest kBlockSegments recent ones become `block`.
  void pack(std::shared_ptr<const SegmentBlock> block) {
    blocks_.push_back(std::move(block));
    recent_.erase(recent_.begin(), recent_.begin() + kBlockSegments);
  }
  // Lets go of the oldest segment; a block goes as a whole, with its last one. Returns how many
  // recent segments went: 0 or 1.
  std::size_t pop_front() {
    if (blocks_.empty()) {
      recent_.erase(recent_.begin());
      return 1;
    }
    if (++hidden_ == kBlockSegments) {
      blocks_.erase(blocks_.begin());
      hidden_ = 0;
    }
    return 0;
  }

 private:
  std::vector<std::shared_ptr<const SegmentBlock>> blocks_;
  std::vector<Pointer> recent_;
  std::size_t hidden_ = 0;  // of the first block, those that are gone
};

}  // namespace mirror::hls
