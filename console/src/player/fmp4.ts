/**
 * Plays fragmented MP4 from a WebSocket through Media Source Extensions.
 *
 * The server sends a text message `{"mime": "video/mp4; codecs=..."}`, then binary messages: the
 * initialisation segment, the cached group of pictures, then one fragment per frame.
 */

export type PlayerState = 'connecting' | 'buffering' | 'playing' | 'retrying' | 'failed' | 'closed'

export interface PlayerEvents {
  /**
   * `detail` is a code: `codec`, `closed`, `append`, `decode`, `silent`; or what the platform said
   * when it refused.
   */
  onState(state: PlayerState, detail: string): void
}

/** What waits for the source buffer; beyond this the picture is too late to be worth showing. */
export const MAX_QUEUED_BYTES = 16 * 1024 * 1024
/** Seconds behind the newest frame after which playback jumps forward. */
export const MAX_BEHIND_SECONDS = 3
const JUMP_TO_SECONDS = 0.2
/** A viewer who joins starts at the cached key frame and catches up a little faster than life. */
export const CATCH_UP_RATE = 1.25
const CATCH_UP_FROM_SECONDS = 0.5
const CATCH_UP_UNTIL_SECONDS = 0.2
const KEEP_SECONDS = 10
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000, 15_000]
/** A connection that has died without a word: frames came, and then none for so long. */
export const SILENCE_MS = 20_000

export class Fmp4Player {
  private socket: WebSocket | null = null
  private source: MediaSource | null = null
  private buffer: SourceBuffer | null = null
  private objectUrl = ''
  private queue: ArrayBuffer[] = []
  private queuedBytes = 0
  private retries = 0
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private ended = false
  private silenceTimer: ReturnType<typeof setTimeout> | undefined

  /**
   * @param nextUrl gives a fresh signed address for each attempt; what it throws ends the tries,
   *   unless it says that it is `passing`
   */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly nextUrl: () => Promise<string>,
    private readonly events: PlayerEvents,
  ) {
    video.addEventListener('playing', this.onPlaying)
    video.addEventListener('timeupdate', this.keepAtLiveEdge)
    video.addEventListener('error', this.onDecodeError)
  }

  open(): void {
    void this.connect()
  }

  /** Do not wait any longer before the next try: the device is back. */
  wake(): void {
    if (this.ended || this.retryTimer === undefined) return
    clearTimeout(this.retryTimer)
    void this.connect()
  }

  close(): void {
    this.ended = true
    clearTimeout(this.retryTimer)
    this.video.removeEventListener('playing', this.onPlaying)
    this.video.removeEventListener('timeupdate', this.keepAtLiveEdge)
    this.video.removeEventListener('error', this.onDecodeError)
    this.release()
    this.events.onState('closed', '')
  }

  private async connect(): Promise<void> {
    this.retryTimer = undefined
    this.events.onState('connecting', '')
    let url: string
    try {
      url = await this.nextUrl()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if ((error as { passing?: boolean }).passing) this.retry(reason)
      else this.fail(reason)
      return
    }
    if (this.ended) return
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    socket.onmessage = (message) => this.receive(socket, message.data)
    socket.onclose = () => {
      if (socket === this.socket) this.retry('closed')
    }
    this.socket = socket
  }

  private receive(socket: WebSocket, data: unknown): void {
    if (socket !== this.socket) return
    if (typeof data === 'string') {
      const mime = mimeIn(data)
      if (mime) this.start(mime)
    } else if (data instanceof ArrayBuffer) {
      clearTimeout(this.silenceTimer)
      this.silenceTimer = setTimeout(() => this.retry('silent'), SILENCE_MS)
      this.enqueue(data)
    }
  }

  private start(mime: string): void {
    if (!MediaSource.isTypeSupported(mime)) {
      this.fail('codec')
      return
    }
    this.releaseSource()
    this.events.onState('buffering', '')
    const source = new MediaSource()
    this.source = source
    this.objectUrl = URL.createObjectURL(source)
    this.video.src = this.objectUrl
    source.addEventListener(
      'sourceopen',
      () => {
        if (source !== this.source) return
        this.buffer = source.addSourceBuffer(mime)
        this.buffer.mode = 'segments'
        this.buffer.addEventListener('updateend', this.feed)
        this.feed()
      },
      { once: true },
    )
    void this.video.play().catch(() => undefined) // muted video may always start; a pause by the user is no error
  }

  private enqueue(chunk: ArrayBuffer): void {
    this.queue.push(chunk)
    this.queuedBytes += chunk.byteLength
    if (this.queuedBytes > MAX_QUEUED_BYTES) this.retry('append')
    else this.feed()
  }

  private readonly feed = (): void => {
    const { buffer } = this
    if (!buffer || buffer.updating || this.source?.readyState !== 'open') return
    this.keepAtLiveEdge() // here too: a picture that stands still sends no timeupdate
    try {
      const stale = this.staleEnd(buffer)
      if (stale > 0) {
        buffer.remove(0, stale)
        return
      }
      const chunk = this.queue.shift()
      if (!chunk) return
      this.queuedBytes -= chunk.byteLength
      buffer.appendBuffer(chunk)
    } catch {
      this.retry('append')
    }
  }

  /** End of what is so long past that it may go, or 0. Removed in large steps, not per frame. */
  private staleEnd(buffer: SourceBuffer): number {
    if (buffer.buffered.length === 0) return 0
    const begin = buffer.buffered.start(0)
    const keepFrom = this.video.currentTime - KEEP_SECONDS
    return keepFrom - begin > KEEP_SECONDS ? keepFrom : 0
  }

  private readonly keepAtLiveEdge = (): void => {
    const { buffered, currentTime } = this.video
    if (buffered.length === 0) return
    const newest = buffered.end(buffered.length - 1)
    const begin = buffered.start(buffered.length - 1)
    const behind = newest - currentTime
    if (behind > MAX_BEHIND_SECONDS || currentTime < begin) {
      this.video.currentTime = Math.max(begin, newest - JUMP_TO_SECONDS)
      this.video.playbackRate = 1
    } else if (behind > CATCH_UP_FROM_SECONDS) {
      this.video.playbackRate = CATCH_UP_RATE
    } else if (behind < CATCH_UP_UNTIL_SECONDS) {
      this.video.playbackRate = 1
    }
  }

  private readonly onPlaying = (): void => {
    this.retries = 0
    this.events.onState('playing', '')
  }

  private readonly onDecodeError = (): void => {
    if (this.source) this.retry('decode')
  }

  private retry(reason: string): void {
    if (this.ended) return
    this.release()
    const delay = RETRY_DELAYS_MS[Math.min(this.retries, RETRY_DELAYS_MS.length - 1)]
    this.retries += 1
    this.events.onState('retrying', reason)
    clearTimeout(this.retryTimer)
    this.retryTimer = setTimeout(() => void this.connect(), delay)
  }

  private fail(reason: string): void {
    if (this.ended) return
    this.release()
    this.events.onState('failed', reason)
  }

  private release(): void {
    clearTimeout(this.silenceTimer)
    const { socket } = this
    this.socket = null
    socket?.close()
    this.releaseSource()
    this.queue = []
    this.queuedBytes = 0
  }

  private releaseSource(): void {
    this.buffer?.removeEventListener('updateend', this.feed)
    this.buffer = null
    this.source = null
    if (this.objectUrl) {
      URL.revokeObjectURL(this.objectUrl)
      this.objectUrl = ''
      this.video.removeAttribute('src')
      this.video.load()
    }
  }
}

function mimeIn(message: string): string {
  try {
    return String((JSON.parse(message) as { mime?: string }).mime ?? '')
  } catch {
    return ''
  }
}
