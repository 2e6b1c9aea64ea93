"""Decodes a file with PyAV's FFmpeg and tells what came out, one `name value ...` line each.

Used by `foreign.rs`. Any complaint of a decoder or demuxer ends it with an error.
"""

import sys

import av
import av.logging

from simulators.clock_picture import read_frame_number


def main(path: str) -> None:
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture() as complaints:
        tell_video(path)
        tell_sound(path)
    if complaints:
        raise SystemExit(f"{path}: {complaints}")


def tell_video(path: str) -> None:
    with av.open(path) as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(stream))
        milliseconds = 1000 * (stream.time_base or 0)
        print("codec", stream.codec_context.name)
        print("size", stream.codec_context.width, stream.codec_context.height)
        print("ms", *(round((picture.pts or 0) * milliseconds) for picture in pictures))
        print("ticks", *(picture.pts for picture in pictures))
        print("numbers", *(read_frame_number(picture) for picture in pictures))


def tell_sound(path: str) -> None:
    with av.open(path) as container:
        if container.streams.audio:
            stream = container.streams.audio[0]
            frames = list(container.decode(stream))
            print("sound", stream.codec_context.name, sum(frame.samples for frame in frames))
            print("sound_ticks", *(frame.pts for frame in frames))


main(sys.argv[1])
