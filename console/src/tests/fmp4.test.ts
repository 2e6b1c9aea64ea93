import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  CATCH_UP_RATE,
  Fmp4Player,
  MAX_BEHIND_SECONDS,
  MAX_QUEUED_BYTES,
  SILENCE_MS,
} from '../player/fmp4'

class FakeSocket {
  static all: FakeSocket[] = []
  binaryType = ''
  closed = false
  onmessage: ((message: { data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  constructor(readonly url: string) {
    FakeSocket.all.push(this)
  }
  close(): void {
    this.closed = true
  }
}

class FakeBuffer extends EventTarget {
  updating = false
  mode = ''
  appended: number[] = []
  buffered = { length: 0, start: () => 0, end: () => 0 }
  appendBuffer(chunk: ArrayBuffer): void {
    this.updating = true
    this.appended.push(chunk.byteLength)
  }
  finish(): void {
    this.updating = false
    this.dispatchEvent(new Event('updateend'))
  }
}

class FakeSource extends EventTarget {
  static supported = true
  static latest: FakeSource
  static isTypeSupported(): boolean {
    return FakeSource.supported
  }
  readyState = 'open'
  readonly buffer = new FakeBuffer()
  constructor() {
    super()
    FakeSource.latest = this
  }
  addSourceBuffer(): FakeBuffer {
    return this.buffer
  }
}

class FakeVideo extends EventTarget {
  src = ''
  currentTime = 0
  playbackRate = 1
  buffered = { length: 0, start: (_: number) => 0, end: (_: number) => 0 }
  play = (): Promise<void> => Promise.resolve()
  load(): void {}
  removeAttribute(): void {}
}

function open(nextUrl: () => Promise<string> = async () => 'ws://server/live') {
  const video = new FakeVideo()
  const states: string[] = []
  const player = new Fmp4Player(video as unknown as HTMLVideoElement, nextUrl, {
    onState: (state, detail) => states.push(detail ? `${state}:${detail}` : state),
  })
  player.open()
  return { video, player, states }
}

const socket = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket
const send = (data: unknown): void => socket().onmessage?.({ data })
const mime = JSON.stringify({ mime: 'video/mp4; codecs="avc1.640028"' })

describe('Fmp4Player', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    FakeSocket.all = []
    FakeSource.supported = true
    vi.stubGlobal('WebSocket', FakeSocket)
    vi.stubGlobal('MediaSource', FakeSource)
    vi.stubGlobal('URL', { createObjectURL: () => 'blob:x', revokeObjectURL: () => undefined })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('appends one chunk at a time, in order', async () => {
    const { states } = open()
    await vi.advanceTimersByTimeAsync(0)
    send(mime)
    send(new ArrayBuffer(3))
    send(new ArrayBuffer(5))
    const source = FakeSource.latest
    source.dispatchEvent(new Event('sourceopen'))
    expect(source.buffer.appended).toEqual([3])
    source.buffer.finish()
    expect(source.buffer.appended).toEqual([3, 5])
    expect(states).toEqual(['connecting', 'buffering'])
  })

  it('says when the browser lacks the codec and does not try again', async () => {
    FakeSource.supported = false
    const { states } = open()
    await vi.advanceTimersByTimeAsync(0)
    send(mime)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(states).toEqual(['connecting', 'failed:codec'])
    expect(FakeSocket.all).toHaveLength(1)
  })

  it('asks for a fresh address after an interruption', async () => {
    let attempt = 0
    const { states } = open(async () => `ws://server/${++attempt}`)
    await vi.advanceTimersByTimeAsync(0)
    socket().onclose?.()
    expect(states).toEqual(['connecting', 'retrying:closed'])
    await vi.advanceTimersByTimeAsync(500)
    expect(FakeSocket.all.map(({ url }) => url)).toEqual(['ws://server/1', 'ws://server/2'])
  })

  it('does not queue without bound when the source never opens', async () => {
    const { states } = open()
    await vi.advanceTimersByTimeAsync(0)
    send(mime)
    send(new ArrayBuffer(MAX_QUEUED_BYTES + 1))
    expect(states.at(-1)).toBe('retrying:append')
    expect(socket().closed).toBe(true)
  })

  it('jumps to the newest picture when it falls behind', async () => {
    const { video } = open()
    video.buffered = { length: 1, start: () => 0, end: () => 10 }
    video.currentTime = 10 - MAX_BEHIND_SECONDS - 0.1
    video.dispatchEvent(new Event('timeupdate'))
    expect(video.currentTime).toBeCloseTo(9.8)
  })

  it('catches up when it joined at the cached key frame, then plays at life speed', async () => {
    const { video } = open()
    video.buffered = { length: 1, start: () => 0, end: () => 10 }
    const rates = [9, 9.6, 9.9].map((time) => {
      video.currentTime = time
      video.dispatchEvent(new Event('timeupdate'))
      return video.playbackRate
    })
    expect(rates).toEqual([CATCH_UP_RATE, CATCH_UP_RATE, 1])
  })

  it('shows the refusal of the platform', async () => {
    const { states } = open(async () => {
      throw new Error('The device is offline.')
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(states).toEqual(['connecting', 'failed:The device is offline.'])
  })

  it('tries again by itself when the platform restarts', async () => {
    let up = false
    const { states } = open(async () => {
      if (!up) throw Object.assign(new Error('It does not answer.'), { passing: true })
      return 'ws://server/live'
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(states).toEqual(['connecting', 'retrying:It does not answer.'])
    up = true
    await vi.advanceTimersByTimeAsync(500)
    expect(FakeSocket.all).toHaveLength(1)
  })

  it('does not wait any longer when it is woken', async () => {
    const { player } = open()
    await vi.advanceTimersByTimeAsync(0)
    player.wake()
    expect(FakeSocket.all).toHaveLength(1)
    socket().onclose?.()
    player.wake()
    await vi.advanceTimersByTimeAsync(0)
    expect(FakeSocket.all).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(500)
    expect(FakeSocket.all).toHaveLength(2)
  })

  it('gives up a connection that has died without a word', async () => {
    const { states } = open()
    await vi.advanceTimersByTimeAsync(SILENCE_MS * 2)
    expect(states).toEqual(['connecting'])
    send(mime)
    send(new ArrayBuffer(3))
    await vi.advanceTimersByTimeAsync(SILENCE_MS)
    expect(states.at(-1)).toBe('retrying:silent')
  })

  it('leaves a gap in the stream although a picture that stands still reports no time', async () => {
    const { video } = open()
    await vi.advanceTimersByTimeAsync(0)
    send(mime)
    FakeSource.latest.dispatchEvent(new Event('sourceopen'))
    video.currentTime = 4
    video.buffered = { length: 2, start: (n) => [0, 8][n] ?? 0, end: (n) => [4, 9][n] ?? 0 }
    send(new ArrayBuffer(3))
    expect(video.currentTime).toBeCloseTo(8.8)
  })

  it('starts anew after a decoder error', async () => {
    const { video, states } = open()
    await vi.advanceTimersByTimeAsync(0)
    send(mime)
    video.dispatchEvent(new Event('error'))
    expect(states.at(-1)).toBe('retrying:decode')
  })

  it('is not confused by a message that it does not know', async () => {
    const { states } = open()
    await vi.advanceTimersByTimeAsync(0)
    send('no JSON')
    send('{}')
    expect(states).toEqual(['connecting'])
  })

  it('is silent after close', async () => {
    const { player, states } = open()
    await vi.advanceTimersByTimeAsync(0)
    player.close()
    socket().onclose?.()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(states).toEqual(['connecting', 'closed'])
  })
})
