/** Two languages, one table: a missing word is a type error. */
import { computed, ref } from 'vue'

const WORDS = {
  title: ['GB/T 28181 console', 'GB/T 28181 控制台'],
  login: ['Log in', '登录'],
  logout: ['Log out', '退出'],
  username: ['User name', '用户名'],
  password: ['Password', '密码'],
  loginHint: [
    'The first password was printed when the platform first started; it is also in data/initial-password.txt.',
    '初始密码在平台首次启动时打印，也保存在 data/initial-password.txt。',
  ],
  search: ['Search name or code', '搜索名称或编码'],
  devices: ['Devices', '设备'],
  noDevices: [
    'There is no device yet. Add one with `gb28181 device add` or POST /api/v1/devices (see /api/docs), then point it at this platform.',
    '还没有设备。请用 `gb28181 device add` 或 POST /api/v1/devices（见 /api/docs）添加，再将设备指向本平台。',
  ],
  nothingFound: ['No channel matches.', '没有匹配的通道。'],
  moreFound: [
    'More channels match; type more of the name.',
    '还有更多匹配的通道，请输入更完整的名称。',
  ],
  connectingAgain: ['Connecting to the platform again…', '正在重新连接平台…'],
  online: ['online', '在线'],
  offline: ['offline', '离线'],
  channels: ['channels', '通道'],
  play: ['Play', '播放'],
  close: ['Close', '关闭'],
  empty: ['Choose a channel on the left', '请在左侧选择通道'],
  connecting: ['Asking the device for its picture…', '正在向设备请求图像…'],
  buffering: ['Waiting for the first key frame…', '正在等待第一个关键帧…'],
  retrying: ['The stream was interrupted; connecting again…', '码流中断，正在重新连接…'],
  tryingAgain: ['There is no picture yet; trying again…', '尚未出图，正在重试…'],
  tryAgain: ['Try again', '重试'],
  codecUnsupported: [
    'This browser cannot decode the stream (H.265). Choose the sub stream, or a browser with an H.265 decoder.',
    '此浏览器无法解码该码流（H.265）。请选择子码流，或使用带 H.265 解码器的浏览器。',
  ],
  refused: ['The platform refused this play.', '平台拒绝了本次播放。'],
  mainStream: ['Main stream', '主码流'],
  subStream: ['Sub stream', '子码流'],
  stages: ['Stages', '阶段'],
  cause: ['Cause', '原因'],
  nextStep: ['Next step', '下一步'],
  sync: ['Read catalogue again', '重新读取目录'],
  unreachable: [
    'The platform does not answer. Check that it is running.',
    '平台没有响应，请检查其是否正在运行。',
  ],
  layout: ['Layout', '布局'],
  language: ['中文', 'English'],
} as const satisfies Record<string, readonly [string, string]>

export type Word = keyof typeof WORDS
export type Language = 'en' | 'zh'

function firstLanguage(): Language {
  const stored = localStorage.getItem('language')
  if (stored === 'en' || stored === 'zh') return stored
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

export const language = ref<Language>(firstLanguage())
tellReaders()

export function switchLanguage(): void {
  language.value = language.value === 'en' ? 'zh' : 'en'
  localStorage.setItem('language', language.value)
  tellReaders()
}

/** A screen reader chooses its voice by this. */
function tellReaders(): void {
  document.documentElement.lang = language.value === 'en' ? 'en' : 'zh-CN'
}

const column = computed(() => (language.value === 'en' ? 0 : 1))

export function t(word: Word): string {
  return WORDS[word][column.value]
}

/** Picks from a text the server sent in both languages. */
export function pick(english: string, chinese: string | undefined | null): string {
  return language.value === 'zh' && chinese ? chinese : english
}
