// The options that Mirror sets on NVIDIA's encoder and scaler, as libav names them.
//
// A table, so that a test can hold every name and value against the libraries that we run with:
// they can be asked without a GPU.
#pragma once

#include <array>
#include <string_view>

namespace mirror::transcode {

struct CodecOption {
  const char* name;
  const char* value;
};

// h264_nvenc. One picture out for each that goes in, IDR pictures where they are asked for and
// nowhere else, and a constant bit rate; what is not of the encoder alone (bit rate, buffer, GOP,
// no B-pictures) is set on its context.
inline constexpr std::array kNvencOptions = {
    CodecOption{"preset", "p4"},       // still many times faster than real time at 360p [not run]
    CodecOption{"tune", "ull"},        // ultra low latency
    CodecOption{"profile", "high"},    // as x264's, so that the codec string is the same
    CodecOption{"rc", "cbr"},          //
    CodecOption{"zerolatency", "1"},   // no reordering
    CodecOption{"delay", "0"},         // by default it keeps as many pictures as it has surfaces
    CodecOption{"forced-idr", "1"},    // what is asked for is an IDR picture, not an I-picture
    CodecOption{"no-scenecut", "1"},   //
    CodecOption{"rc-lookahead", "0"},  //
    CodecOption{"strict_gop", "1"},    //
    CodecOption{"b_adapt", "0"},       //
    CodecOption{"b_ref_mode", "disabled"},
    CodecOption{"aud", "0"},
    CodecOption{"a53cc", "0"},
};

// scale_cuda. Bilinear takes four taps spread over what one sample covers: no aliases at 3:1.
inline constexpr std::array kScaleCudaOptions = {
    CodecOption{"interp_algo", "bilinear"},
    CodecOption{"passthrough", "0"},
};
// Those whose values depend on the picture.
inline constexpr std::array kScaleCudaVariable = {"w", "h", "format"};

}  // namespace mirror::transcode
