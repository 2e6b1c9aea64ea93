import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

class FakeEvents {
  static readonly CLOSED = 2
  static all: FakeEvents[] = []
  readyState = 1
  closed = false
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null
  readonly listeners = new Map<string, (message: { data: unknown }) => void>()
  constructor() {
    FakeEvents.all.push(this)
  }
  addEventListener(type: string, listener: (message: { data: unknown }) => void): void {
    this.listeners.set(type, listener)
  }
  close(): void {
    this.closed = true
  }
  refuse(): void {
    this.readyState = FakeEvents.CLOSED
    this.onerror?.()
  }
}

let status = 200
const answer = async (): Promise<unknown> => ({
  ok: status < 300,
  status,
  json: async () => ({ code: 'x', message: 'No.', message_zh: '不。' }),
})

describe('client', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.resetModules()
    status = 200
    FakeEvents.all = []
    vi.stubGlobal('EventSource', FakeEvents)
    vi.stubGlobal('fetch', answer)
    vi.stubGlobal('localStorage', { getItem: () => 'en', setItem: () => undefined })
    vi.stubGlobal('document', { documentElement: { lang: '' }, createElement: () => ({}) })
    vi.stubGlobal('window', { location: { protocol: 'https:', host: 'cameras.example:8443' } })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('watches at the address the browser knows, whatever proxy stands before it', async () => {
    const { atThisOrigin } = await import('../api/client')
    expect(atThisOrigin('ws://127.0.0.1:8080/live/a_b_0.mp4?token=t.s')).toBe(
      'wss://cameras.example:8443/live/a_b_0.mp4?token=t.s',
    )
  })

  it('tells when the login has ended, but not for a wrong password', async () => {
    const { loadOverview, login, onLoginExpired } = await import('../api/client')
    const expired = vi.fn()
    onLoginExpired(expired)
    status = 401
    await expect(login('admin', 'wrong')).rejects.toThrow('No.')
    expect(expired).not.toHaveBeenCalled()
    await expect(loadOverview()).rejects.toThrow('No.')
    expect(expired).toHaveBeenCalledTimes(1)
  })

  it('logs out although the login has ended or the platform is gone', async () => {
    const { logout } = await import('../api/client')
    status = 401
    await logout()
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('network')
    })
    await logout()
  })

  it('says of an error whether it may pass', async () => {
    const { ApiError, Unreachable } = await import('../api/client')
    const passing = [404, 400, 409, 500, 503].map((code) => new ApiError(code, null).passing)
    expect(passing).toEqual([false, false, true, true, true])
    expect(new Unreachable().passing).toBe(true)
  })

  it('hears which device an event is about', async () => {
    const { followEvents } = await import('../api/client')
    const heard: unknown[] = []
    followEvents((event) => heard.push(event))
    FakeEvents.all[0]?.listeners.get('device_online')?.({ data: '{"device_id":"34"}' })
    FakeEvents.all[0]?.listeners.get('lost')?.({ data: undefined })
    expect(heard).toEqual([
      { type: 'device_online', deviceId: '34' },
      { type: 'lost', deviceId: '' },
    ])
  })

  it('opens the events anew after a refusal, and takes some for lost', async () => {
    const { followEvents } = await import('../api/client')
    const heard: string[] = []
    const stop = followEvents(({ type }) => heard.push(type))
    FakeEvents.all[0]?.refuse()
    await vi.advanceTimersByTimeAsync(3000)
    expect(FakeEvents.all).toHaveLength(2)
    FakeEvents.all[1]?.onopen?.()
    expect(heard).toEqual(['lost'])
    stop()
    expect(FakeEvents.all[1]?.closed).toBe(true)
  })

  it('does not open them again without a login', async () => {
    const { followEvents, onLoginExpired } = await import('../api/client')
    const expired = vi.fn()
    onLoginExpired(expired)
    followEvents(() => undefined)
    status = 401
    FakeEvents.all[0]?.refuse()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(FakeEvents.all).toHaveLength(1)
    expect(expired).toHaveBeenCalledTimes(1)
  })
})
