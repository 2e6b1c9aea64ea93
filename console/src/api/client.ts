/** The console's view of `/api/v1`: the wire's shapes stay in this file. */
import { language, t } from '../i18n'
import type { TreeNode } from '../tree'

const LOGIN = '/api/v1/login'
const TREE_PAGE = 1000
const SEARCH_PAGE = 200

interface Page<Item> {
  items: Item[]
  total: number
  offset: number
}

interface DeviceJson {
  device_id: string
  name: string
  online: boolean
  channels: number
  channels_online: number
}

interface ChannelJson {
  device_id: string
  channel_id: string
  name: string
  playable: boolean
  online: boolean
  children: number
  channels: number
  channels_online: number
}

interface VerdictJson {
  cause: string
  cause_zh: string
  next_step: string
  next_step_zh: string
}

interface SessionJson {
  id: string
  stages: { stage: string; seconds: number }[]
  verdict: VerdictJson | null
}

interface ErrorJson {
  code: string
  message: string
  message_zh: string
  next_step?: string
  next_step_zh?: string
}

export interface Verdict {
  cause: string
  causeZh: string
  nextStep: string
  nextStepZh: string
}

export interface StageTime {
  name: string
  seconds: number
}

export interface PlayView {
  sessionId: string
  wsUrl: string
  stages: StageTime[]
}

export interface Overview {
  devices: number
  devicesOnline: number
  channels: number
  channelsOnline: number
}

/** What the platform refused, in the reader's language, with the next step. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: ErrorJson | null,
  ) {
    const chinese = language.value === 'zh'
    const message = chinese ? body?.message_zh : body?.message
    const step = chinese ? (body?.next_step_zh ?? body?.next_step) : body?.next_step
    super([message, step].filter(Boolean).join(' ') || `HTTP ${status}`)
  }

  /** Whether the same request may well succeed a little later. */
  get passing(): boolean {
    return this.status >= 500 || [401, 408, 409, 429].includes(this.status)
  }
}

/** The platform did not answer at all: it restarts, or the network is gone. */
export class Unreachable extends Error {
  readonly passing = true
  constructor() {
    super(t('unreachable'))
  }
}

let loginExpired = (): void => undefined

/** Whom to tell that a request was refused for want of a login. */
export function onLoginExpired(listener: () => void): void {
  loginExpired = listener
}

async function call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  let response: Response
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      ...(body === undefined
        ? {}
        : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    })
  } catch {
    throw new Unreachable()
  }
  if (!response.ok) {
    if (response.status === 401 && path !== LOGIN) loginExpired()
    throw new ApiError(
      response.status,
      (await response.json().catch(() => null)) as ErrorJson | null,
    )
  }
  return (response.status === 204 ? undefined : await response.json()) as Answer
}

export async function login(name: string, password: string): Promise<void> {
  await call('POST', LOGIN, { name, password })
}

/** Ends the login; one that has expired already has ended too. */
export async function logout(): Promise<void> {
  await call('POST', '/api/v1/logout').catch(() => undefined)
}

export async function loggedIn(): Promise<boolean> {
  try {
    await call('GET', '/api/v1/user')
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false
    throw error
  }
}

export async function loadOverview(): Promise<Overview> {
  const statistics = await call<{
    devices: number
    devices_online: number
    channels: number
    channels_online: number
  }>('GET', '/api/v1/statistics')
  return {
    devices: statistics.devices,
    devicesOnline: statistics.devices_online,
    channels: statistics.channels,
    channelsOnline: statistics.channels_online,
  }
}

/** All pages of a list; a catalogue level of 100,000 entries takes a hundred of them. */
async function everything<Item>(path: string): Promise<Item[]> {
  const items: Item[] = []
  for (;;) {
    const page = await call<Page<Item>>('GET', `${path}&offset=${items.length}&limit=${TREE_PAGE}`)
    items.push(...page.items)
    if (page.items.length === 0 || items.length >= page.total) return items
  }
}

export async function loadChildren(parent: TreeNode | null): Promise<TreeNode[]> {
  if (parent === null) {
    const devices = await everything<DeviceJson>('/api/v1/devices?search=')
    return devices.map((device) => ({
      key: device.device_id,
      kind: 'device',
      name: device.name || device.device_id,
      deviceId: device.device_id,
      channelId: '',
      online: device.online,
      hasChildren: device.channels > 0,
      total: device.channels,
      onlineTotal: device.channels_online,
    }))
  }
  const device = encodeURIComponent(parent.deviceId)
  const under = encodeURIComponent(parent.kind === 'device' ? '' : parent.channelId)
  const channels = await everything<ChannelJson>(
    `/api/v1/devices/${device}/channels?parent=${under}`,
  )
  return channels.map((channel) => treeNode(channel, parent.key))
}

export interface Found {
  nodes: TreeNode[]
  /** How many there are; the nodes are the first of them. */
  total: number
}

export async function searchChannels(text: string): Promise<Found> {
  const query = new URLSearchParams({
    search: text,
    playable: 'true',
    limit: String(SEARCH_PAGE),
  })
  const found = await call<Page<ChannelJson>>('GET', `/api/v1/channels?${query}`)
  return {
    nodes: found.items.map((channel) => treeNode(channel, channel.device_id)),
    total: found.total,
  }
}

/** A camera plays, anything else opens; a camera with cameras below it plays too. */
function treeNode(channel: ChannelJson, parentKey: string): TreeNode {
  return {
    key: `${parentKey}/${channel.channel_id}`,
    kind: channel.playable ? 'channel' : 'folder',
    name: channel.name || channel.channel_id,
    deviceId: channel.device_id,
    channelId: channel.channel_id,
    online: channel.online,
    hasChildren: channel.children > 0,
    total: channel.channels,
    onlineTotal: channel.channels_online,
  }
}

/** Starts the play and answers at once; stages and verdict follow by {@link playStages}. */
export async function playChannel(channel: TreeNode, stream: number): Promise<PlayView> {
  const device = encodeURIComponent(channel.deviceId)
  const id = encodeURIComponent(channel.channelId)
  const answer = await call<{ session: SessionJson; play: { urls: Record<string, string> } }>(
    'POST',
    `/api/v1/devices/${device}/channels/${id}/play`,
    { stream, wait: false },
  )
  return {
    sessionId: answer.session.id,
    wsUrl: atThisOrigin(answer.play.urls.ws_fmp4 ?? ''),
    stages: stagesOf(answer.session),
  }
}

/**
 * The address in the answer is the one by which the platform was reached, which behind a reverse
 * proxy may be an inner one; the browser knows the outer one.
 */
export function atThisOrigin(url: string): string {
  const { protocol, host } = window.location
  const { pathname, search } = new URL(url, `${protocol}//${host}`)
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}${pathname}${search}`
}

export async function playStages(
  sessionId: string,
): Promise<{ stages: StageTime[]; verdict: Verdict | null }> {
  const session = await call<SessionJson>(
    'GET',
    `/api/v1/sessions/${encodeURIComponent(sessionId)}`,
  )
  const { verdict } = session
  return {
    stages: stagesOf(session),
    verdict: verdict && {
      cause: verdict.cause,
      causeZh: verdict.cause_zh,
      nextStep: verdict.next_step,
      nextStepZh: verdict.next_step_zh,
    },
  }
}

function stagesOf(session: SessionJson): StageTime[] {
  return session.stages.map(({ stage, seconds }) => ({ name: stage, seconds }))
}

const EVENT_TYPES = [
  'device_online',
  'device_offline',
  'catalog_synced',
  'channels_changed',
  'lost',
] as const
const RECONNECT_MS = 3000

export interface PlatformEvent {
  type: (typeof EVENT_TYPES)[number]
  deviceId: string
}

/**
 * Reports every event that alters the tree, and `lost` whenever some may have been missed. The
 * browser reconnects by itself after a cut, but not after a refusal (a login that has ended, a
 * platform that restarts): then the login is asked for and the stream opened anew.
 */
export function followEvents(heard: (event: PlatformEvent) => void): () => void {
  let source: EventSource
  let timer: ReturnType<typeof setTimeout> | undefined
  let cut = false
  let stopped = false

  const open = (): void => {
    source = new EventSource('/api/v1/events')
    for (const type of EVENT_TYPES) {
      source.addEventListener(type, (message) => heard({ type, deviceId: deviceIn(message.data) }))
    }
    source.onopen = () => {
      if (cut) heard({ type: 'lost', deviceId: '' })
      cut = false
    }
    source.onerror = () => {
      cut = true
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(reopen, RECONNECT_MS)
    }
  }
  const reopen = async (): Promise<void> => {
    const allowed = await loggedIn().catch(() => null)
    if (stopped) return
    if (allowed) open()
    else if (allowed === null) timer = setTimeout(reopen, RECONNECT_MS)
  }

  open()
  return () => {
    stopped = true
    clearTimeout(timer)
    source.close()
  }
}

function deviceIn(data: unknown): string {
  try {
    return (JSON.parse(String(data)) as { device_id?: string }).device_id ?? ''
  } catch {
    return ''
  }
}
