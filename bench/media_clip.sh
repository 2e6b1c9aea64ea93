#!/usr/bin/env bash
# Source streams of the media benches: 1080p25, 4 Mbit/s, GOP 50, no B frames; G.711A mono. About a minute of CPU, once.
set -euo pipefail
out=$1
mkdir -p "$out"
cd "$out"
picture="testsrc2=size=1920x1080:rate=25:duration=40,noise=alls=12:allf=t,format=yuv420p"
quiet=(-hide_banner -loglevel error -y)
[ -s video.h264 ] || ffmpeg "${quiet[@]}" -f lavfi -i "$picture" -an -c:v libx264 -preset veryfast -profile:v high \
    -bf 0 -g 50 -keyint_min 50 -sc_threshold 0 -b:v 4M -maxrate 4M -bufsize 4M \
    -x264-params "slices=1:sliced-threads=0:aud=0:repeat-headers=1:rc-lookahead=10" -f h264 video.h264.part
[ -s video.h264 ] || mv video.h264.part video.h264
[ -s tone.alaw ] || ffmpeg "${quiet[@]}" -f lavfi -i "sine=frequency=440:sample_rate=8000:duration=40" -ac 1 -c:a pcm_alaw -f alaw tone.alaw
