"""Reads a JSON list of playlists from standard input; what python3-m3u8 makes of each, in the common
form that parsers.mjs describes, goes to standard output as a JSON list. For Debian's own python3."""

import json
import sys

import m3u8


def number(value):
    return None if value is None else float(value)


def milliseconds(date):
    return None if date is None else round(date.timestamp() * 1000)


def part(part):
    return {
        "uri": part.uri,
        "duration": number(part.duration),
        "independent": part.independent == "YES",
        "gap": part.gap == "YES",
    }


def segment(segment):
    return {
        "uri": segment.uri,
        "duration": number(segment.duration),
        # What the playlist itself says; the other dates are the library's extrapolations.
        "date": milliseconds(segment.program_date_time),
        "discontinuity": bool(segment.discontinuity),
        "map": segment.init_section.uri if segment.init_section else None,
        "parts": [part(each) for each in segment.parts],
    }


def media(playlist):
    control = playlist.server_control
    segments = [segment(each) for each in playlist.segments]
    is_open = bool(segments) and segments[-1]["uri"] is None
    return {
        "version": int(playlist.version),
        "targetDuration": number(playlist.target_duration),
        "partTarget": number(playlist.part_inf.part_target) if playlist.part_inf else None,
        "partHoldBack": number(control.part_hold_back) if control else None,
        "holdBack": number(control.hold_back) if control else None,
        "canSkipUntil": number(control.can_skip_until) if control else None,
        "mediaSequence": playlist.media_sequence,
        "discontinuitySequence": playlist.discontinuity_sequence or 0,
        "skipped": int(playlist.skip.skipped_segments) if playlist.skip else 0,
        "segments": segments[:-1] if is_open else segments,
        "openParts": segments[-1]["parts"] if is_open else [],
        "hint": playlist.preload_hint.uri if playlist.preload_hint else None,
        "reports": [
            {"uri": each.uri, "msn": int(each.last_msn), "part": int(each.last_part)}
            for each in playlist.rendition_reports
        ],
        "start": number(playlist.start.time_offset) if playlist.start else None,
        "ended": bool(playlist.is_endlist),
    }


def multivariant(playlist):
    def variant(each):
        info = each.stream_info
        return {
            "uri": each.uri,
            "bandwidth": info.bandwidth,
            "averageBandwidth": info.average_bandwidth,
            "codecs": info.codecs,
            "resolution": "x".join(map(str, info.resolution)) if info.resolution else None,
            "frameRate": number(info.frame_rate),
            "audio": info.audio,
        }

    def rendition(each):
        return {
            "group": each.group_id,
            "name": each.name,
            "uri": each.uri,
            "language": each.language,
            "default": each.default == "YES",
            "autoselect": each.autoselect == "YES",
        }

    return {
        "version": int(playlist.version),
        "variants": [variant(each) for each in playlist.playlists],
        "audio": [rendition(each) for each in playlist.media if each.type == "AUDIO"],
    }


def common(text):
    playlist = m3u8.loads(text)
    return multivariant(playlist) if playlist.is_variant else media(playlist)


json.dump([common(text) for text in json.load(sys.stdin)], sys.stdout)
