"""The identifiers of GB/T 28181-2022 annex E (2016: annex D): 20 digits and what they say.

=======  =======================================================================
digits   content
=======  =======================================================================
1-8      centre: province, city, district, basic access unit (two digits each)
9-10     industry
11-13    type
14       network
15-20    serial number
=======  =======================================================================

Devices in the field use letters, 18-digit codes (rule B of 2016) and types that fit nothing: only
:func:`is_acceptable_id` decides what is refused; everything else here is a hint.
"""

from dataclasses import dataclass
from typing import Final

_ALPHANUMERIC: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

BUSINESS_GROUP: Final = 215
VIRTUAL_ORGANISATION: Final = 216

TYPE_NAMES: Final[dict[int, tuple[str, str]]] = {
    111: ("DVR", "数字硬盘录像机"),
    112: ("video server", "视频服务器"),
    113: ("encoder", "编码器"),
    114: ("decoder", "解码器"),
    115: ("video switching matrix", "视频切换矩阵"),
    116: ("audio switching matrix", "音频切换矩阵"),
    117: ("alarm controller", "报警控制器"),
    118: ("NVR", "网络视频录像机"),
    120: ("online video image acquisition system", "在线视频图像信息采集系统"),
    121: ("video checkpoint", "视频卡口"),
    122: ("multi-lens device", "多目设备"),
    123: ("car park entrance control", "停车场出入口控制设备"),
    124: ("pedestrian access control", "人员出入口控制设备"),
    125: ("security inspection device", "安检设备"),
    130: ("HVR", "混合硬盘录像机"),
    131: ("camera", "摄像机"),
    132: ("IP camera", "网络摄像机"),
    133: ("display", "显示器"),
    134: ("alarm input", "报警输入设备"),
    135: ("alarm output", "报警输出设备"),
    136: ("voice input", "语音输入设备"),
    137: ("voice output", "语音输出设备"),
    138: ("mobile transmission device", "移动传输设备"),
    139: ("other peripheral", "其他外围设备"),
    140: ("relay or trigger alarm output", "报警输出设备（继电器或触发器）"),
    141: ("barrier gate", "道闸"),
    142: ("smart door", "智能门"),
    143: ("credential recognition unit", "凭证识别单元"),
    200: ("central signalling control server", "中心信令控制服务器"),
    201: ("web application server", "Web应用服务器"),
    202: ("media distribution server", "媒体分发服务器"),
    203: ("proxy server", "代理服务器"),
    204: ("security server", "安全服务器"),
    205: ("alarm server", "报警服务器"),
    206: ("database server", "数据库服务器"),
    207: ("GIS server", "GIS服务器"),
    208: ("management server", "管理服务器"),
    209: ("access gateway", "接入网关"),
    210: ("media storage server", "媒体存储服务器"),
    211: ("signalling security routing gateway", "信令安全路由网关"),
    215: ("business group", "业务分组"),
    216: ("virtual organisation", "虚拟组织"),
    300: ("centre user", "中心用户"),
    400: ("terminal user", "终端用户"),
    500: ("video image information application platform", "视频图像信息综合应用平台"),
    501: ("video image information O&M platform", "视频图像信息运维管理平台"),
    502: ("video image analysis system", "视频图像分析系统"),
    503: ("video image information database", "视频图像信息数据库"),
    505: ("video image analysis device", "视频图像分析设备"),
}
"""Type code -> English and Chinese name (table E.1)."""

_TYPE_RANGES: Final = (
    (range(111, 131), ("front-end device", "前端主设备")),
    (range(131, 200), ("front-end peripheral", "前端外围设备")),
    (range(200, 300), ("platform equipment", "平台设备")),
    (range(300, 400), ("centre user", "中心用户")),
    (range(400, 500), ("terminal user", "终端用户")),
    (range(500, 600), ("server attached to the platform", "平台外接服务器")),
)

_VIDEO_CHANNEL_TYPES: Final = frozenset((*range(119, 130), 131, 132))
"""131 and 132 by the standard; Uniview numbers cameras 119 to 129 as well."""

_RULE_B_CAMERA: Final = "60"  # digits 17-18 of rule B of 2016: analogue camera


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A 20-digit code in its parts."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "DeviceCode | None":
        """``None`` for anything but 20 digits."""
        return cls(text) if len(text) == 20 and text.isascii() and text.isdigit() else None

    @property
    def centre(self) -> str:
        return self.text[:8]

    @property
    def domain(self) -> str:
        """The SIP domain of a server: its first ten digits (GB/T 28181-2022 annex E)."""
        return self.text[:10]

    @property
    def industry(self) -> int:
        return int(self.text[8:10])

    @property
    def type(self) -> int:
        return int(self.text[10:13])

    @property
    def network(self) -> int:
        return int(self.text[13])

    @property
    def serial(self) -> int:
        return int(self.text[14:])

    @property
    def region(self) -> str:
        """The administrative division: the centre without the levels that are ``00``."""
        code = self.centre
        while len(code) > 2 and code.endswith("00"):
            code = code[:-2]
        return code

    @property
    def type_names(self) -> tuple[str, str]:
        """English and Chinese, of the range when the very code has none."""
        if self.type in TYPE_NAMES:
            return TYPE_NAMES[self.type]
        named = (names for codes, names in _TYPE_RANGES if self.type in codes)
        return next(named, ("extension", "扩展"))

    @property
    def type_name_en(self) -> str:
        return self.type_names[0]

    @property
    def type_name_zh(self) -> str:
        return self.type_names[1]

    @property
    def is_video_channel(self) -> bool:
        return self.type in _VIDEO_CHANNEL_TYPES

    @property
    def is_system(self) -> bool:
        """A platform, but neither a business group nor a virtual organisation."""
        return 200 <= self.type < 300 and not self.is_directory

    @property
    def is_directory(self) -> bool:
        return self.type in (BUSINESS_GROUP, VIRTUAL_ORGANISATION)

    def __str__(self) -> str:
        return self.text


def is_region_code(text: str) -> bool:
    """An administrative division: 2, 4, 6 or 8 digits (A.2.1.2)."""
    return len(text) in (2, 4, 6, 8) and text.isascii() and text.isdigit()


def is_acceptable_id(text: str) -> bool:
    """1 to 32 letters and digits: whatever devices use to name themselves."""
    return 0 < len(text) <= 32 and _ALPHANUMERIC.issuperset(text)


def is_video_channel(device_id: str) -> bool:
    """Whether an item is worth a play button; a code that follows no rule is given the chance."""
    code = DeviceCode.parse(device_id)
    if code is not None:
        return code.is_video_channel
    if is_region_code(device_id):
        return False
    if len(device_id) == 18 and device_id.isdigit():
        return device_id.endswith(_RULE_B_CAMERA)
    return True
